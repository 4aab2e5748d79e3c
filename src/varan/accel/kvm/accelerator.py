"""KVM as an accelerator: when it can be used, and when it should be."""

from __future__ import annotations

import os
import threading

from varan.accel import cpuid
from varan.accel.base import ONE_CPU, Accelerator, AcceleratorError, Availability, Topology
from varan.accel.cpuid import Choice, ModelInfo
from varan.accel.kvm import features, kick
from varan.accel.kvm.system import DEVICE, KvmSystem, hardware_virtualization, has_synchronous_mmu
from varan.accel.kvm.vm import KvmVm
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace

HOST = "host"
"""The one model there is: the host's own CPU."""


class KvmAccelerator(Accelerator):
    """Guests on the host's own CPU, through /dev/kvm."""

    name = "kvm"
    description = "the host CPU's hardware virtualization, through /dev/kvm"

    @classmethod
    def availability(cls) -> Availability:
        if not os.path.exists(DEVICE):
            return Availability(False, False, f"there is no {DEVICE}")
        if not os.access(DEVICE, os.R_OK | os.W_OK):
            return Availability(False, False, f"no permission to use {DEVICE}")
        if not hardware_virtualization():
            return Availability(
                True, False, "this host's CPU shows no hardware virtualization, so KVM would only crawl"
            )
        return Availability(True, True, "hardware virtualization is there")

    @classmethod
    def cpu_models(cls) -> list[str]:
        return [HOST]

    @classmethod
    def describe_model(cls, cpu_model: str) -> ModelInfo:
        system = KvmSystem()
        try:
            table = system.cpuid(ONE_CPU, 0)
        finally:
            system.close()
        choice = cls._choice(cpu_model)
        features.choose(table, choice, quiet=not choice.enforce)
        return ModelInfo(features.lookup(table))

    def __init__(self, options: dict[str, str] | None = None) -> None:
        for option in options or {}:
            raise AcceleratorError(f"accelerator kvm has no option '{option}'")

    def create_vm(
        self,
        memory: MemorySpace,
        ports: PortSpace,
        lock: threading.RLock,
        cpu_model: str | None = None,
        topology: Topology = ONE_CPU,
    ) -> KvmVm:
        kick.install()
        return KvmVm(memory, ports, lock, self._choice(cpu_model or HOST), topology)

    @classmethod
    def _choice(cls, cpu_model: str) -> Choice:
        choice = cpuid.parse_model(cpu_model)
        if choice.model not in cls.cpu_models():
            raise AcceleratorError(f"CPU model '{choice.model}' is not one of KVM's: {', '.join(cls.cpu_models())}")
        return choice

    @property
    def synchronous_mmu(self) -> bool:
        return has_synchronous_mmu()


ACCELERATOR = KvmAccelerator

"""KVM as an accelerator: when it can be used, and when it should be."""

from __future__ import annotations

import os
import threading

from varan.accel.base import Accelerator, AcceleratorError, Availability
from varan.accel.kvm import kick
from varan.accel.kvm.system import DEVICE, hardware_virtualization
from varan.accel.kvm.vm import KvmVm
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace


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
        return ["host"]

    def __init__(self, options: dict[str, str] | None = None) -> None:
        for option in options or {}:
            raise AcceleratorError(f"accelerator kvm has no option '{option}'")

    def create_vm(
        self, memory: MemorySpace, ports: PortSpace, lock: threading.RLock, cpu_model: str | None = None
    ) -> KvmVm:
        if cpu_model not in (None, *self.cpu_models()):
            raise AcceleratorError(f"CPU model '{cpu_model}' is not one of KVM's: {', '.join(self.cpu_models())}")
        kick.install()
        return KvmVm(memory, ports, lock)


ACCELERATOR = KvmAccelerator

"""A VM of KVM's: guest memory in its slots, and the vCPUs made from it."""

from __future__ import annotations

import fcntl
import os
import struct
import threading

from varan.accel.base import ONE_CPU, AcceleratorError, Topology, Vm
from varan.accel.cpuid import Choice
from varan.accel.kvm import ioctls
from varan.accel.kvm.system import KvmSystem
from varan.accel.kvm.vcpu import KvmVcpu
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace

_IDENTITY_MAP = 0xFEFFC000
_TSS = 0xFEFFD000


class KvmVm(Vm):
    """See `Vm`. vCPUs each have a thread of their own."""

    def __init__(
        self,
        memory: MemorySpace,
        ports: PortSpace,
        lock: threading.RLock,
        choice: Choice,
        topology: Topology = ONE_CPU,
    ) -> None:
        self._choice, self._topology = choice, topology
        self._memory, self._ports, self._lock = memory, ports, lock
        self._system = KvmSystem()
        try:
            self._fd = self._system.create_vm()
        except OSError as error:
            self._system.close()
            raise AcceleratorError(f"KVM made no VM: {error.strerror}") from None
        try:
            self._map_memory()
            # Pages that Intel hardware needs for real mode; they must lie outside guest RAM.
            fcntl.ioctl(self._fd, ioctls.SET_IDENTITY_MAP_ADDR, struct.pack("<Q", _IDENTITY_MAP))
            fcntl.ioctl(self._fd, ioctls.SET_TSS_ADDR, _TSS - (1 << 32))
        except OSError as error:
            self.close()
            raise AcceleratorError(f"KVM does not take the machine's memory map: {error.strerror}") from None

    def _map_memory(self) -> None:
        slot = 0
        for region in self._memory:
            if region.ram is None:
                continue
            flags = ioctls.MEM_READONLY if region.readonly else 0
            host = region.ram.address + region.offset
            argument = ioctls.MEMORY_REGION.pack(slot, flags, region.start, region.end - region.start, host)
            fcntl.ioctl(self._fd, ioctls.SET_USER_MEMORY_REGION, argument)
            slot += 1

    def create_vcpu(self, index: int) -> KvmVcpu:
        try:
            return KvmVcpu(
                self._system, self._fd, index, self._memory, self._ports, self._lock, self._choice, self._topology
            )
        except OSError as error:
            raise AcceleratorError(f"KVM made no vCPU {index}: {error.strerror}") from None

    def close(self) -> None:
        os.close(self._fd)
        self._system.close()

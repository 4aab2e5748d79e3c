"""The system side of KVM: the device file, what it can do, and the CPUID it offers."""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import struct
from pathlib import Path

from varan.accel.base import AcceleratorError, Topology
from varan.accel.kvm import cpuid, ioctls

DEVICE = "/dev/kvm"


def hardware_virtualization() -> bool:
    """Whether the host's CPU offers VT-x or SVM. A KVM without it emulates instruction by instruction."""
    try:
        with Path("/proc/cpuinfo").open() as cpuinfo:
            for line in cpuinfo:
                if line.startswith("flags"):
                    return not {"vmx", "svm"}.isdisjoint(line.split())
    except OSError:
        pass
    return False


@functools.cache
def has_synchronous_mmu() -> bool:
    """Whether KVM notices when pages of a guest's memory go back to the host."""
    with open(DEVICE, "rb") as device:
        return bool(fcntl.ioctl(device, ioctls.CHECK_EXTENSION, ioctls.CAP_SYNC_MMU))


class KvmSystem:
    """The opened /dev/kvm. Raises AcceleratorError saying what is missing and what to do."""

    def __init__(self) -> None:
        try:
            self.fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            hint = " (is your user in the kvm group?)" if error.errno == errno.EACCES else ""
            raise AcceleratorError(f"could not open {DEVICE}: {error.strerror}{hint}") from None
        try:
            self._check()
        except BaseException:
            self.close()
            raise
        self.run_size: int = fcntl.ioctl(self.fd, ioctls.GET_VCPU_MMAP_SIZE, 0)
        """Bytes of a vCPU's `kvm_run` mapping."""

    def _check(self) -> None:
        version = fcntl.ioctl(self.fd, ioctls.GET_API_VERSION, 0)
        if version != ioctls.API_VERSION:
            raise AcceleratorError(
                f"{DEVICE} speaks version {version} of the interface, {ioctls.API_VERSION} is needed"
            )
        for name, number in ioctls.NEEDED_CAPABILITIES.items():
            if not fcntl.ioctl(self.fd, ioctls.CHECK_EXTENSION, number):
                raise AcceleratorError(f"{DEVICE} lacks {name}, which Linux 4.12 and later have")

    def create_vm(self) -> int:
        """A file descriptor of a new VM."""
        return fcntl.ioctl(self.fd, ioctls.CREATE_VM, 0)

    def cpuid(self, topology: Topology, index: int) -> bytearray:
        """The argument of SET_CPUID2 for vCPU `index`."""
        return cpuid.table(_supported_cpuid(), topology, index)

    def msr_numbers(self) -> list[int]:
        """The MSRs that KVM saves and restores."""
        buffer = bytearray(4 + 4 * 1024)
        struct.pack_into("<I", buffer, 0, 1024)
        fcntl.ioctl(self.fd, ioctls.GET_MSR_INDEX_LIST, buffer, True)
        (count,) = struct.unpack_from("<I", buffer)
        return list(struct.unpack_from(f"<{count}I", buffer, 4))

    def close(self) -> None:
        """Close the device file; VMs made from it live on."""
        os.close(self.fd)


@functools.cache
def _supported_cpuid() -> bytes:
    """The argument of SET_CPUID2 with all that KVM can offer: half a millisecond's work, the same every time."""
    table = bytearray(8 + 256 * ioctls.CPUID_ENTRY.size)
    struct.pack_into("<I", table, 0, 256)
    with open(DEVICE, "rb") as device:
        fcntl.ioctl(device, ioctls.GET_SUPPORTED_CPUID, table, True)
    (count,) = struct.unpack_from("<I", table)
    return bytes(table[: 8 + count * ioctls.CPUID_ENTRY.size])

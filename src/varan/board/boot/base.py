"""What a board boots: the contract, and its errors."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from varan.accel.state import CpuState
from varan.core.memory import MemorySpace
from varan.errors import VaranError


class BootError(VaranError):
    """Something cannot be booted: which file, what is wrong with it, what to do."""


class BadImage(ValueError):
    """What is wrong with the bytes of an image. Whoever knows the file's name makes a `BootError` of it."""


class Placed(NamedTuple):
    """Something that a boot program puts into memory: physical address, bytes, what it is, whether it is ROM."""

    address: int
    size: int
    name: str
    rom: bool = False


class BootProgram(Protocol):
    """Something that a machine starts from.

    Files are opened and checked when it is made, so that a bad one is reported before a machine exists.
    """

    is_firmware: bool
    """Whether it sets the board's devices up by itself."""

    def install(self, memory: MemorySpace) -> CpuState:
        """Put the program into guest memory; the state in which the first vCPU starts it.

        Called at every reset of the machine, while no vCPU runs. Raises BootError.
        """

    def placed(self, memory: MemorySpace) -> list[Placed]:
        """What `install` puts where, files by their names."""

    def wake(self, memory: MemorySpace) -> CpuState | None:
        """The state in which the first vCPU leaves its sleep (ACPI S3); None where only a reset goes on from there."""

"""Booting a firmware file (`-bios`): a ROM that ends at 4 GiB, where the CPU starts after reset."""

from __future__ import annotations

from varan.accel.state import CpuState
from varan.board.boot.base import BootError, Placed
from varan.board.boot.files import BootFile
from varan.core.memory import GuestRam, MemorySpace

UNIT = 64 << 10
LARGEST = 16 << 20
ROM_END = 1 << 32
SHADOW_END = 1 << 20
SHADOW_SIZE = 128 << 10
"""The part that shows below 1 MiB as well, in RAM, where real-mode code runs."""


class FirmwareBoot:
    """A BIOS image. Maps its ROM once, when it is made; each reset renews the copy below 1 MiB."""

    is_firmware = True

    def __init__(self, memory: MemorySpace, path: str) -> None:
        """Read and check the file and map it into `memory`. Raises BootError."""
        file = BootFile(path, "firmware")
        if not 0 < file.size <= LARGEST or file.size % UNIT:
            raise BootError(
                f"firmware '{path}' has {file.size} bytes; a firmware image has a multiple of 64 KiB, 16 MiB at most"
            )
        data = file.read(0, file.size)
        if len(data) != file.size:
            raise BootError(f"firmware '{path}' could not be read whole")
        self._path = path
        self._rom = GuestRam(file.size, "bios")
        self._rom.view[:] = data
        shadow = min(file.size, SHADOW_SIZE)
        self._shadow = self._rom.view[file.size - shadow :]
        try:
            memory.map_ram(ROM_END - file.size, self._rom, readonly=True)
        except ValueError as error:
            raise BootError(f"firmware '{path}' does not fit below 4 GiB: {error}") from None

    def install(self, memory: MemorySpace) -> CpuState:
        """Copy the end of the ROM to its place below 1 MiB; the state after reset. Raises BootError."""
        address = SHADOW_END - len(self._shadow)
        if memory.write_ram(address, self._shadow) != len(self._shadow):
            raise BootError(f"the board has no memory at {address:#x} for firmware '{self._path}'")
        return CpuState()

    def placed(self, memory: MemorySpace) -> list[Placed]:
        """The ROM, and the copy of its end."""
        size, shadow = self._rom.size, len(self._shadow)
        return [Placed(ROM_END - size, size, self._path, rom=True), Placed(SHADOW_END - shadow, shadow, self._path)]

    def wake(self, memory: MemorySpace) -> CpuState | None:
        """The firmware starts as after a reset and finds out itself."""
        return CpuState()

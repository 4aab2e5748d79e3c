"""Booting the built-in demonstration guest (`varan.guest`)."""

from __future__ import annotations

from varan.accel.state import CpuState
from varan.board.boot import e820, longmode
from varan.board.boot.base import BootError, Placed
from varan.core.memory import MemorySpace
from varan.guest import image

RDI = 7
RSI = 6


class DemoBoot:
    """The demonstration guest, loaded at `image.LOAD_ADDRESS` and entered in 64-bit mode."""

    is_firmware = False

    def __init__(self, memory: MemorySpace) -> None:
        """Raises BootError when `memory` is too small for it."""
        if memory.ram_slice(0, image.MEMORY_END) is None:
            raise BootError(
                f"too little memory: the demonstration guest needs {image.MEMORY_END >> 10} KiB from address 0"
            )

    def install(self, memory: MemorySpace) -> CpuState:
        """Copy it; RDI tells it the size of memory in bytes, RSI where memory below 4 GiB ends. Raises BootError."""
        program = image.demo()
        longmode.put(memory, image.LOAD_ADDRESS, program)
        state = longmode.enter(memory, image.entry(program))
        entries = e820.memory_map(memory)
        state.gprs[RDI] = sum(region.end - region.start for region in memory if region.ram and not region.readonly)
        state.gprs[RSI] = e820.ram_top(entries) or image.MEMORY_END
        return state

    def placed(self, memory: MemorySpace) -> list[Placed]:
        """The guest itself."""
        return [Placed(image.LOAD_ADDRESS, len(image.demo()), "demonstration guest")]

    def wake(self, memory: MemorySpace) -> CpuState | None:
        """It never sleeps."""
        return None

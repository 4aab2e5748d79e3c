"""What runs on a machine that was given nothing to boot: it says so, and halts."""

from __future__ import annotations

from varan.accel.state import CODE_ACCESS, CpuState, Segment
from varan.board.boot import longmode
from varan.board.boot.base import Placed
from varan.core.memory import MemorySpace
from varan.guest import image


class NothingBoot:
    """A few hundred bytes of real-mode code where a boot sector would be."""

    is_firmware = False

    def install(self, memory: MemorySpace) -> CpuState:
        """Copy it to `image.NOTHING_ADDRESS`. Raises BootError."""
        longmode.put(memory, image.NOTHING_ADDRESS, image.nothing())
        return CpuState(rip=image.NOTHING_ADDRESS, cs=Segment(0, 0, 0xFFFF, CODE_ACCESS))

    def placed(self, memory: MemorySpace) -> list[Placed]:
        """The few hundred bytes."""
        return [Placed(image.NOTHING_ADDRESS, len(image.nothing()), "nothing to boot")]

    def wake(self, memory: MemorySpace) -> CpuState | None:
        """It never sleeps."""
        return None

"""From what the user asked for to what the machine starts."""

from __future__ import annotations

from varan.board.boot.base import BootError, BootProgram
from varan.board.boot.demo import DemoBoot
from varan.board.boot.firmware import FirmwareBoot
from varan.board.boot.linux import LinuxBoot, Tables
from varan.board.boot.nothing import NothingBoot
from varan.core.memory import MemorySpace


def boot_program(
    memory: MemorySpace,
    *,
    kernel: str | None = None,
    initrd: str | None = None,
    append: str = "",
    firmware: str | None = None,
    demo: bool = False,
    acpi: Tables | None = None,
) -> BootProgram:
    """The program for these files, checked, on a board whose RAM is mapped in `memory` already.

    With `firmware` it is that, which starts the kernel, too (`firmwarekernel`). `acpi` gives the tables that a kernel
    gets without. Raises BootError.
    """
    if kernel is not None and firmware is None:
        return LinuxBoot(memory, kernel, initrd, append, acpi)
    if initrd is not None and kernel is None:
        raise BootError("an initrd is only of use together with a kernel")
    if append and kernel is None:
        raise BootError("a kernel command line is only of use together with a kernel")
    if demo:
        return DemoBoot(memory)
    if firmware is not None:
        return FirmwareBoot(memory, firmware)
    return NothingBoot()

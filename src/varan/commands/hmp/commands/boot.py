"""What firmware is told to boot from."""

from __future__ import annotations

from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.registry import command
from varan.commands.hmp.session import HmpSession
from varan.errors import VaranError


@command("boot_set", "bootdevice:string", help="what firmware boots from after the next reset (a, b, c, d, n)")
async def boot_set(session: HmpSession, bootdevice: str) -> str:
    """The letters of `-boot order=`."""
    machine = session.machine
    try:
        with machine.lock:
            machine.board.set_boot_order(bootdevice)
    except VaranError as error:
        raise HmpError(str(error)) from None
    return f"boot device list now set to {bootdevice}\n"

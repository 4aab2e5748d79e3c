"""The interrupt controllers."""

from __future__ import annotations

from varan.board.interrupts import Interrupts
from varan.commands.hmp import interrupts
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.registry import INFO, command
from varan.commands.hmp.session import HmpSession


def _controllers(session: HmpSession) -> Interrupts:
    found = session.machine.board.interrupts
    if found is None:
        raise HmpError("this machine has no interrupt controllers")
    return found


@command("lapic", "apic_id:integer?", help="a local APIC: the chosen CPU's, or the one with a number", group=INFO)
async def lapic(session: HmpSession, apic_id: int | None = None) -> str:
    """Registers by name, with what their bits mean."""
    apics = _controllers(session).apics
    places = [place for place, apic in enumerate(apics) if apic.id == apic_id]
    if apic_id is None:
        places = [session.vcpu().index]
    if not places:
        raise HmpError(f"there is no local APIC with number {apic_id}")
    with session.machine.lock:
        lines = list(interrupts.lapic(apics[places[0]], places[0]))
    return "".join(f"{line}\n" for line in lines)


@command("pic", help="the I/O APIC and the 8259 pair", group=INFO)
async def pic(session: HmpSession) -> str:
    """Registers, and which inputs are asserted."""
    controllers = _controllers(session)
    with session.machine.lock:
        lines = list(interrupts.pic(controllers.pic, controllers.ioapic))
    return "".join(f"{line}\n" for line in lines)


@command("irq", help="how often each input of the interrupt controllers has asked for an interrupt", group=INFO)
async def irq(session: HmpSession) -> str:
    """Inputs that never have are left out."""
    controllers = _controllers(session)
    with session.machine.lock:
        lines = [
            *interrupts.counts("ioapic", controllers.ioapic.requests),
            *interrupts.counts("isa-i8259", controllers.pic.requests),
        ]
    return "".join(f"{line}\n" for line in lines)

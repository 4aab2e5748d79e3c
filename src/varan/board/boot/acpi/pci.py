"""The DSDT's PCI part: the root bus, its interrupt routing through the ISA bridge's links, slots that can be plugged.

Links: PIIX3 data sheet, PIRQRC[A:D] (configuration bytes 60h to 63h of function 00:01.0): bits 0 to 3 name an ISA
interrupt, bit 7 switches the link off.
"""

from __future__ import annotations

from collections.abc import Iterator

from varan.board.boot.acpi import resources
from varan.board.boot.acpi.aml import (
    ZERO,
    Access,
    Space,
    acquire,
    and_,
    argument,
    call,
    create_dword_field,
    device,
    eisa_id,
    else_,
    field,
    if_,
    integer,
    local,
    method,
    mutex,
    name,
    notify,
    operation_region,
    or_,
    package,
    path,
    release,
    return_,
    scope,
    store,
)
from varan.board.boot.acpi.hardware import HotplugBus, PciHost
from varan.devices.acpi import pcihp
from varan.devices.acpi.power import SCI

DEVICE_CHECK, EJECT_REQUEST = 1, 3

LINKS = "ABCD"
LINK_GSIS = (5, 10, 11)
LINK_OFF = 0x80
PRESENT, PRESENT_AND_ON = 0x09, 0x0B
SLOTS, FUNCTIONS, PINS = 32, 8, 4
LOCK = "\\_SB.PCI0.BLCK"
"""Held from the choice of a bus until its registers have been used."""
BRIDGE_SLOT = 1
"""The ISA bridge's, whose power management function interrupts by the SCI."""
_CRS_GSI = 5
"""Where an extended interrupt descriptor has its first interrupt."""


def host_bridge(host: PciHost, *isa: bytes) -> bytes:
    """PCI0, with the devices behind the ISA bridge and the slots."""
    return device(
        "PCI0",
        name("_HID", eisa_id("PNP0A03")),
        name("_UID", ZERO),
        name("_CRS", _windows(host)),
        name("_PRT", _routing()),
        device(
            "ISA",
            name("_ADR", integer(BRIDGE_SLOT << 16)),
            operation_region("PIRQ", Space.PCI_CONFIG, 0x60, len(LINKS)),
            field("PIRQ", Access.BYTE, [(f"PRQ{letter}", 8) for letter in LINKS], preserve=True),
            *isa,
        ),
        *_hotplug(host),
    )


def links() -> tuple[bytes, ...]:
    """LNKA to LNKD."""
    return tuple(_link(number, letter) for number, letter in enumerate(LINKS))


def events(host: PciHost) -> bytes:
    """What happens on the hot-plug event: notify the slots whose bits are set, on one bus after the other."""
    if host.hotplug is None:
        return b""
    terms = [acquire(LOCK)]
    for where, bus in _numbered("\\_SB.PCI0", host.hotplug):
        assert bus.number is not None
        terms.append(store(integer(bus.number), path("\\_SB.PCI0.BNUM")))
        for register, event in (("PCIU", DEVICE_CHECK), ("PCID", EJECT_REQUEST)):
            terms.append(call(f"{where}.DVNT", call(f"\\_SB.PCI0.{register}"), integer(event)))
    handler = method(f"_E{pcihp.EVENT:02X}", 0, *terms, release(LOCK), serialized=True)
    return scope("\\_GPE", handler)


def _numbered(where: str, bus: HotplugBus) -> Iterator[tuple[str, HotplugBus]]:
    """The buses at and behind the one at path `where` that have slots, with their paths."""
    if bus.number is not None:
        yield where, bus
    for devfn, behind in bus.bridges:
        yield from _numbered(f"{where}.{_slot_name(devfn)}", behind)


def _windows(host: PciHost) -> bytes:
    ports = [resources.io_window(window.first, window.last) for window in host.io]
    memory = [resources.memory_window(window.first, window.last) for window in host.memory]
    return resources.template(resources.bus_numbers(0, 0xFF), resources.io(0xCF8, 8), *ports, *memory)


def _routing() -> bytes:
    """Pin INTA of slot 1 is at link A, each further slot and pin one link on."""
    entries = []
    for slot in range(SLOTS):
        for pin in range(PINS):
            letter = LINKS[(slot + pin - 1) % len(LINKS)]
            source = (path(f"LNK{letter}"), ZERO)
            if slot == BRIDGE_SLOT and pin == 0:
                source = (ZERO, integer(SCI))
            entries.append(package(integer(slot << 16 | 0xFFFF), integer(pin), *source))
    return package(*entries)


def _link(number: int, letter: str) -> bytes:
    register = path(f"\\_SB.PCI0.ISA.PRQ{letter}")
    possible = resources.template(resources.interrupts(LINK_GSIS))
    current = resources.template(resources.interrupts([0]))
    wanted = f"PRR{letter}"
    return device(
        f"LNK{letter}",
        name("_HID", eisa_id("PNP0C0F")),
        name("_UID", integer(number)),
        name("_PRS", possible),
        method(
            "_STA",
            0,
            if_(and_(register, integer(LINK_OFF)), return_(integer(PRESENT))),
            else_(return_(integer(PRESENT_AND_ON))),
        ),
        method("_DIS", 0, or_(register, integer(LINK_OFF), register)),
        method(
            "_CRS",
            0,
            store(current, local(0)),
            create_dword_field(local(0), _CRS_GSI, wanted),
            if_(and_(register, integer(LINK_OFF)), store(ZERO, path(wanted))),
            else_(and_(register, integer(0x0F), path(wanted))),
            return_(local(0)),
            serialized=True,
        ),
        method(
            "_SRS",
            1,
            create_dword_field(argument(0), _CRS_GSI, wanted),
            store(path(wanted), register),
            serialized=True,
        ),
    )


def _hotplug(host: PciHost) -> tuple[bytes, ...]:
    """The registers, what ejects a slot (Arg0: the bus's number, Arg1: the slot's bit), and the slots."""
    if host.hotplug is None:
        return ()
    return (
        operation_region("PCST", Space.IO, pcihp.BASE, pcihp.EJECT),
        field("PCST", Access.DWORD, [("PCIU", 32), ("PCID", 32)]),
        operation_region("SEJ", Space.IO, pcihp.BASE + pcihp.EJECT, 4),
        field("SEJ", Access.DWORD, [("PCEJ", 32)]),
        operation_region("BNMR", Space.IO, pcihp.BASE + pcihp.SELECT, 4),
        field("BNMR", Access.DWORD, [("BNUM", 32)]),
        mutex("BLCK"),
        method(
            "EJCT",
            2,
            acquire("BLCK"),
            store(argument(0), path("BNUM")),
            store(argument(1), path("PCEJ")),
            release("BLCK"),
            serialized=True,
        ),
        *_slots(host.hotplug),
    )


def _slots(bus: HotplugBus) -> Iterator[bytes]:
    """The slots of a bus and its bridges, and DVNT: notify the slots in Arg0's bits with Arg1."""
    bridges = dict(bus.bridges)
    for slot in bus.slots:
        behind = bridges.pop(slot * FUNCTIONS, None)
        yield _slot(bus, slot, behind)
    for devfn, behind in bridges.items():
        yield device(_slot_name(devfn), _address(devfn), *_slots(behind))
    if bus.number is not None:
        yield method("DVNT", 2, *(_notify(slot) for slot in bus.slots))


def _notify(slot: int) -> bytes:
    return if_(and_(argument(0), integer(1 << slot)), notify(path(_slot_name(slot * FUNCTIONS)), argument(1)))


def _slot(bus: HotplugBus, slot: int, behind: HotplugBus | None) -> bytes:
    assert bus.number is not None
    devfn = slot * FUNCTIONS
    eject = method("_EJ0", 1, call("EJCT", integer(bus.number), integer(1 << slot)))
    inner = _slots(behind) if behind is not None else ()
    return device(_slot_name(devfn), name("_SUN", integer(slot)), _address(devfn), eject, *inner)


def _address(devfn: int) -> bytes:
    return name("_ADR", integer(devfn // FUNCTIONS << 16 | devfn % FUNCTIONS))


def _slot_name(devfn: int) -> str:
    return f"S{devfn:02X}"

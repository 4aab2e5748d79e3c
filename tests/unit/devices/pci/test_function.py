"""Configuration space and BARs, as a guest sees them through the host bridge."""

from __future__ import annotations

import json

import pytest
from tests.support.pci import SAMPLE, PciRig, Registers, io_bar, memory_bar, sample

from varan.core.memory import GuestRam
from varan.core.state import decode, encode
from varan.devices.pci import registers as r
from varan.devices.pci.bar import Bar, Rom
from varan.devices.pci.function import PciFunction, PciFunctionState

DEVFN = 3 << 3
MEMORY = 0xE0000000
ON = r.COMMAND_IO | r.COMMAND_MEMORY


@pytest.fixture
def rig() -> PciRig:
    return PciRig()


def test_identity_is_read_and_cannot_be_written(rig: PciRig) -> None:
    rig.bus.attach(sample(), DEVFN)
    rig.write(DEVFN, r.VENDOR_ID, 4, 0x12345678)
    assert rig.read(DEVFN, r.VENDOR_ID, 4) == SAMPLE.device << 16 | SAMPLE.vendor
    assert rig.read(DEVFN, r.REVISION_ID, 4) == SAMPLE.class_code << 8 | SAMPLE.revision
    assert rig.read(DEVFN, r.SUBSYSTEM_VENDOR_ID, 4) == 0x11001AF4
    assert rig.read(DEVFN, r.INTERRUPT_PIN, 1) == 1


def test_absent_functions_read_as_all_ones_and_take_writes(rig: PciRig) -> None:
    rig.bus.attach(sample(), DEVFN)
    rig.write(DEVFN + 1, r.COMMAND, 2, ON)
    assert rig.read(DEVFN + 1, r.VENDOR_ID, 4) == 0xFFFFFFFF
    assert rig.read(DEVFN, r.VENDOR_ID, 2, bus=7) == 0xFFFF


@pytest.mark.parametrize("size", [1, 2, 4])
def test_every_width_and_alignment_reads_the_same_bytes(rig: PciRig, size: int) -> None:
    function = sample()
    function.add_register(0x40, 8, 0x8877665544332211, writable=0xFFFFFFFFFFFFFFFF)
    rig.bus.attach(function, DEVFN)
    for offset in range(0x40, 0x45 - size):
        expected = bytes(range(0x11, 0x99, 0x11))[offset - 0x40 :][:size]
        assert rig.read(DEVFN, offset, size) == int.from_bytes(expected, "little")
    rig.write(DEVFN, 0x41, 1, 0xAB)
    assert rig.read(DEVFN, 0x40, 4) == 0x4433AB11


def test_error_bits_of_status_are_cleared_by_writing_ones(rig: PciRig) -> None:
    function = sample()
    rig.bus.attach(function, DEVFN)
    function.set_register(r.STATUS, 2, 0xF900)
    rig.write(DEVFN, r.STATUS, 2, 0x8000)
    assert rig.read(DEVFN, r.STATUS, 2) == 0x7900


@pytest.mark.parametrize(
    ("bar", "low", "high"),
    [
        (Bar("io", 32, *2 * [lambda *access: 0]), 0xFFFFFFE1, None),
        (Bar("mem32", 4096, *2 * [lambda *access: 0]), 0xFFFFF000, None),
        (Bar("mem64", 1 << 14, *2 * [lambda *access: 0], prefetchable=True), 0xFFFFC00C, 0xFFFFFFFF),
        (Bar("mem64", 1 << 33, *2 * [lambda *access: 0]), 0x00000004, 0xFFFFFFFE),
    ],
)
def test_writing_all_ones_to_a_bar_tells_its_size_and_kind(rig: PciRig, bar: Bar, low: int, high: int | None) -> None:
    rig.bus.attach(sample((0, bar)), DEVFN)
    for offset in (r.BAR0, r.BAR0 + 4):
        rig.write(DEVFN, offset, 4, 0xFFFFFFFF)
    assert rig.read(DEVFN, r.BAR0, 4) == low
    assert rig.read(DEVFN, r.BAR0 + 4, 4) == (high or 0)


def test_bar_answers_where_it_was_put_while_its_space_is_switched_on(rig: PciRig) -> None:
    bar, registers = memory_bar()
    ports, port_registers = io_bar()
    function = sample((0, ports), (1, bar))
    rig.bus.attach(function, DEVFN)
    rig.write(DEVFN, r.BAR0, 4, 0xC000)
    rig.write(DEVFN, r.BAR0 + 4, 4, MEMORY)
    assert rig.memory.read(MEMORY, 4) == 0xFFFFFFFF
    assert function.bar_address(1) is None
    rig.command(DEVFN, ON)
    rig.memory.write(MEMORY + 8, 4, 0x11223344)
    rig.ports.write(0xC004, 2, 0x5566)
    assert registers.content[8:12] == b"\x44\x33\x22\x11"
    assert port_registers.content[4:6] == b"\x66\x55"
    assert (function.bar_address(0), function.bar_address(1)) == (0xC000, MEMORY)
    rig.command(DEVFN, r.COMMAND_MEMORY)
    assert rig.ports.read(0xC004, 2) == 0xFFFF
    assert rig.memory.read(MEMORY + 8, 4) == 0x11223344


def test_bar_moves_with_its_register(rig: PciRig) -> None:
    bar, registers = memory_bar()
    rig.bus.attach(sample((0, bar)), DEVFN)
    rig.command(DEVFN, ON)
    for base in (MEMORY, MEMORY + 0x1000, MEMORY + 0x800000):
        rig.write(DEVFN, r.BAR0, 4, base)
        rig.memory.write(base, 1, 0x5A)
    assert registers.accesses == [(0, 1)] * 3
    assert rig.memory.read(MEMORY, 1) == 0xFF


def test_bar_of_64_bits_goes_above_4_gib(rig: PciRig) -> None:
    registers = Registers(1 << 14)
    bar = Bar("mem64", 1 << 14, registers.read, registers.write)
    rig.bus.attach(sample((2, bar)), DEVFN)
    rig.command(DEVFN, ON)
    rig.write(DEVFN, r.BAR0 + 8, 4, 0x8000)
    rig.write(DEVFN, r.BAR0 + 12, 4, 0x12)
    rig.memory.write(0x12_0000_8004, 8, 1)
    assert registers.accesses == [(4, 8)]


def test_port_accesses_never_reach_beyond_a_bar(rig: PciRig) -> None:
    bar, registers = io_bar(4)
    rig.bus.attach(sample((0, bar)), DEVFN)
    rig.command(DEVFN, ON)
    rig.write(DEVFN, r.BAR0, 4, 0xC000)
    registers.content[:] = b"\x01\x02\x03\x04"
    assert rig.ports.read(0xC002, 4) == 0xFFFF0403
    assert rig.ports.read(0xC003, 2) == 0xFF04
    assert rig.ports.read(0xC001, 4) == 0xFF040302


@pytest.mark.parametrize("value", [0, 0xFFFFFFFF, 0xFFFFF000])
def test_unassigned_and_sizing_values_are_no_address(rig: PciRig, value: int) -> None:
    bar, _ = memory_bar()
    function = sample((0, bar))
    rig.bus.attach(function, DEVFN)
    rig.command(DEVFN, ON)
    rig.write(DEVFN, r.BAR0, 4, value)
    assert function.bar_address(0) is None
    assert not list(rig.memory)


def test_ports_beyond_64_kib_are_no_address(rig: PciRig) -> None:
    bar, _ = io_bar()
    function = sample((0, bar))
    rig.bus.attach(function, DEVFN)
    rig.command(DEVFN, ON)
    rig.write(DEVFN, r.BAR0, 4, 0x10000)
    assert function.bar_address(0) is None


def test_rom_shows_when_enabled_and_cannot_be_written(rig: PciRig) -> None:
    function = sample()
    function.add_bar(r.ROM_INDEX, Rom(b"\x55\xaa" + bytes(3000)))
    rig.bus.attach(function, DEVFN)
    rig.command(DEVFN, ON)
    rig.write(DEVFN, r.ROM_BASE, 4, 0xFFFFFFFF)
    assert rig.read(DEVFN, r.ROM_BASE, 4) == 0xFFFFF001
    rig.write(DEVFN, r.ROM_BASE, 4, MEMORY)
    assert rig.memory.read(MEMORY, 2) == 0xFFFF
    rig.write(DEVFN, r.ROM_BASE, 4, MEMORY | 1)
    rig.memory.write(MEMORY, 2, 0)
    assert rig.memory.read(MEMORY, 2) == 0xAA55
    assert rig.memory.read(MEMORY + 4094, 2) == 0xFFFF


def test_bar_on_top_of_ram_leaves_the_ram_and_shows_beside_it(rig: PciRig) -> None:
    ram = GuestRam(0x2000)
    rig.memory.map_ram(0x10000, ram)
    bar, registers = memory_bar(0x4000)
    rig.bus.attach(sample((0, bar)), DEVFN)
    rig.command(DEVFN, ON)
    rig.write(DEVFN, r.BAR0, 4, 0x10000)
    rig.memory.write(0x10000, 4, 7)
    rig.memory.write(0x12000, 4, 8)
    assert registers.accesses == [(0x2000, 4)]
    assert ram.view[:1] == b"\x07"


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_bars_in_one_place_the_lower_slot_answers_whoever_came_first(
    rig: PciRig, order: tuple[int, int]
) -> None:
    stores = {}
    for slot in (1, 2):
        bar, stores[slot] = memory_bar()
        rig.bus.attach(sample((0, bar)), slot << 3)
        rig.command(slot << 3, ON)
    for slot in order:
        rig.write(slot << 3, r.BAR0, 4, MEMORY)
    rig.memory.write(MEMORY, 1, 1)
    assert (len(stores[1].accesses), len(stores[2].accesses)) == (1, 0)
    rig.command(1 << 3, 0)
    rig.memory.write(MEMORY, 1, 1)
    assert (len(stores[1].accesses), len(stores[2].accesses)) == (1, 1)


def test_bar_that_is_partly_covered_answers_with_the_right_offsets(rig: PciRig) -> None:
    small, small_store = memory_bar(0x1000)
    large, large_store = memory_bar(0x4000)
    for slot, bar, base in ((1, small, MEMORY + 0x1000), (2, large, MEMORY)):
        rig.bus.attach(sample((0, bar)), slot << 3)
        rig.command(slot << 3, ON)
        rig.write(slot << 3, r.BAR0, 4, base)
    for offset in (0xFFC, 0x1000, 0x2004):
        rig.memory.write(MEMORY + offset, 4, 0)
    assert large_store.accesses == [(0xFFC, 4), (0x2004, 4)]
    assert small_store.accesses == [(0, 4)]


def test_interrupt_pin_follows_the_device_unless_the_guest_disabled_it(rig: PciRig) -> None:
    function = sample(pin=2)
    rig.bus.attach(function, DEVFN)
    function.set_intx(1)
    assert rig.pins.asserted == {(3, 1)}
    assert rig.read(DEVFN, r.STATUS, 2) & r.STATUS_INTERRUPT
    rig.command(DEVFN, r.COMMAND_INTX_DISABLE)
    assert not rig.pins.asserted
    assert rig.read(DEVFN, r.STATUS, 2) & r.STATUS_INTERRUPT
    rig.command(DEVFN, 0)
    function.set_intx(0)
    assert not rig.pins.asserted
    assert not rig.read(DEVFN, r.STATUS, 2) & r.STATUS_INTERRUPT


def test_capabilities_are_a_list_in_the_order_in_which_they_came(rig: PciRig) -> None:
    function = sample()
    assert not function.register(r.STATUS, 2) & r.STATUS_CAPABILITIES
    first = function.add_capability(r.CAP_VENDOR, b"\x05\xaa\xbb", write_mask=b"\0\x0f")
    second = function.add_capability(r.CAP_SLOT_ID, b"\0\0")
    rig.bus.attach(function, DEVFN)
    assert rig.read(DEVFN, r.STATUS, 2) & r.STATUS_CAPABILITIES
    assert rig.read(DEVFN, r.CAPABILITY_LIST, 1) == first == 0x40
    assert rig.read(DEVFN, first, 2) == second << 8 | r.CAP_VENDOR
    assert rig.read(DEVFN, second, 2) == r.CAP_SLOT_ID
    rig.write(DEVFN, first, 4, 0)
    rig.write(DEVFN, first + 2, 2, 0xFFFF)
    assert rig.read(DEVFN, first, 4) == 0xAF050009 | second << 8


def test_capabilities_that_do_not_fit_are_refused() -> None:
    function = sample()
    function.add_capability(r.CAP_VENDOR, bytes(180))
    with pytest.raises(ValueError, match="no room"):
        function.add_capability(r.CAP_VENDOR, bytes(20))


@pytest.mark.parametrize(("index", "kind"), [(6, "mem32"), (5, "mem64"), (1, "mem32"), (-1, "io")])
def test_bars_that_a_header_has_no_room_for_are_refused(index: int, kind: str) -> None:
    function = sample()
    function.add_bar(0, Bar("mem64", 4096, *2 * [lambda *access: 0]))
    with pytest.raises(ValueError, match="BAR"):
        function.add_bar(index, Bar(kind, 256, *2 * [lambda *access: 0]))  # type: ignore[arg-type]


def worn(rig: PciRig) -> PciFunction:
    bar, _ = memory_bar()
    function = sample((0, bar))
    rig.bus.attach(function, DEVFN)
    rig.write(DEVFN, r.BAR0, 4, MEMORY)
    rig.command(DEVFN, ON)
    function.set_intx(1)
    return function


def test_loaded_function_decodes_and_interrupts_as_the_saved_one() -> None:
    first, second = PciRig(), PciRig()
    saved = json.loads(json.dumps(encode(worn(first).save())))
    bar, registers = memory_bar()
    function = sample((0, bar))
    second.bus.attach(function, DEVFN)
    function.load(decode(PciFunctionState, saved))
    second.memory.write(MEMORY, 4, 1)
    assert registers.accesses == [(0, 4)]
    assert second.pins.asserted == {(3, 0)}
    assert encode(function.save()) == saved


def test_loaded_state_changes_nothing_that_is_fixed(rig: PciRig) -> None:
    function = worn(rig)
    function.load(PciFunctionState(config=bytearray(b"\xff" * r.CONFIG_SIZE)))
    assert rig.read(DEVFN, r.VENDOR_ID, 4) == SAMPLE.device << 16 | SAMPLE.vendor
    assert rig.read(DEVFN, r.BAR0, 4) == 0xFFFFF000
    assert rig.read(DEVFN, 0x80, 4) == 0


def test_reset_unmaps_and_lowers_the_interrupt(rig: PciRig) -> None:
    worn(rig).reset()
    assert not list(rig.memory)
    assert not rig.pins.asserted
    assert rig.read(DEVFN, r.COMMAND, 2) == 0


def test_detached_function_leaves_nothing_behind(rig: PciRig) -> None:
    function = worn(rig)
    rig.bus.detach(function)
    assert not list(rig.memory)
    assert not rig.pins.asserted
    assert rig.read(DEVFN, r.VENDOR_ID, 4) == 0xFFFFFFFF

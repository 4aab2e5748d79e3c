from __future__ import annotations

from tests.support.bus import Bus

from varan.devices.chipset.a20 import A20Gate
from varan.devices.input.port92 import Port92


def test_reset_bit_resets_when_it_rises_only() -> None:
    bus, resets = Bus(), []
    Port92(lambda passes: None, lambda: resets.append(1)).map(bus.ports)
    bus.outb(0x92, 0x03, 0x03, 0x02, 0x03)
    assert len(resets) == 2


def test_a20_bit_reads_back_and_drives_the_gate() -> None:
    bus, gate = Bus(), A20Gate()
    keyboard_controller = gate.switch()
    Port92(gate.switch(), lambda: None).map(bus.ports)
    keyboard_controller(False)
    assert gate.enabled
    bus.outb(0x92, 0x00)
    assert not gate.enabled
    bus.outb(0x92, 0xFE)
    assert bus.inb(0x92) == 0x02
    assert gate.enabled


def test_gate_opens_with_either_switch() -> None:
    gate = A20Gate()
    first, second = gate.switch(), gate.switch()
    first(False)
    second(False)
    assert not gate.enabled
    first(True)
    assert gate.enabled

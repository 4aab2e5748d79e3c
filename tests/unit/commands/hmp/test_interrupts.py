"""`info lapic`, `info pic` and `info irq`: what is shown is what the controllers hold."""

from __future__ import annotations

from varan.accel.base import Topology
from varan.board.interrupts import Interrupts
from varan.commands.hmp import interrupts
from varan.core.clock import ManualClock, TimerQueue


def controllers() -> Interrupts:
    return Interrupts(Topology(cores=2), ManualClock(), TimerQueue())


def test_local_apic_shows_registers_and_vectors() -> None:
    apic = controllers().apics[0]
    apic.write(0xF0, 4, 0x1FF)
    apic.write(0x320, 4, 0x200EC)
    apic.write(0x3E0, 4, 3)
    apic.write(0x300, 4, 0x40041)
    apic.accept(0x55, True)
    apic.acknowledge()
    shown = "\n".join(interrupts.lapic(apic, 0))
    assert "LVT0\t 0x00000700 active-hi edge ExtINT\n" in shown
    assert "LVTT\t 0x000200ec active-hi edge periodic Fixed (vec 236)\n" in shown
    assert "Timer\t DCR=0x3 (divide by 16) initial_count = 0 current_count = 0\n" in shown
    assert "SPIV\t 0x000001ff APIC enabled, spurious vec 255\n" in shown
    assert "ICR\t 0x00040041 Fixed vec 65 physical edge de-assert self\n" in shown
    assert "ISR\t 85(level)\nIRR\t 65\n" in shown
    assert shown.endswith("APR 0x50 TPR 0x00 DFR 0x0f LDR 0x00 PPR 0x50")


def test_pins_and_chips_show_their_state() -> None:
    made = controllers()
    made.lines.line(4)(1)
    shown = list(interrupts.pic(made.pic, made.ioapic))
    assert len(shown) == 1 + 24 + 2
    assert shown[5] == "  pin 4  0x0000000000010000 dest=0 vec=0 active-hi edge masked Fixed physical asserted"
    assert shown[26] == "pic0: irr=10 imr=00 isr=00 hprio=0 irq_base=00 elcr=00 inputs=10"


def test_inputs_that_have_asked_are_counted() -> None:
    made = controllers()
    line = made.lines.line(4)
    for level in (1, 0, 1):
        line(level)
    assert list(interrupts.counts("isa-i8259", made.pic.requests)) == ["IRQ statistics for isa-i8259:", " 4: 2"]
    assert made.ioapic.requests == [0] * 24, "its pins are masked"

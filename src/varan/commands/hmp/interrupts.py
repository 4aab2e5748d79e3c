"""Interrupt controllers in text: what `info lapic`, `info pic` and `info irq` show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varan.devices.irq import lapic_state as regs
from varan.devices.irq.i8259 import ChipState, I8259Pair
from varan.devices.irq.ioapic import LEVEL, LOGICAL, MASKED, PINS, REMOTE_IRR, IoApic
from varan.devices.irq.lapic import LocalApic

_MODES = ("Fixed", "LowPri", "SMI", "reserved", "NMI", "INIT", "SIPI", "ExtINT")
_SHORTHANDS = ("no-shorthand", "self", "all-self", "all")
_WITH_VECTOR = (0, 1, 6)
_ENTRIES = (
    ("LVT0", regs.LVT_LINT0),
    ("LVT1", regs.LVT_LINT1),
    ("LVTPC", regs.LVT_PERFORMANCE),
    ("LVTERR", regs.LVT_ERROR),
    ("LVTTHMR", regs.LVT_THERMAL),
    ("LVTT", regs.LVT_TIMER),
)


def lapic(apic: LocalApic, cpu: int) -> Iterator[str]:
    """One CPU's local APIC, a line for each group of registers."""
    yield f"dumping local APIC state for CPU {cpu}"
    yield ""
    state = apic.save()
    for name, place in _ENTRIES:
        yield f"{name}\t 0x{state.lvt[place]:08x} {_entry(state.lvt[place], timer=place == regs.LVT_TIMER)}"
    count = apic.read(regs.CURRENT_COUNT << 4, 4)
    divisor = apic.timer_divisor
    yield (
        f"Timer\t DCR=0x{state.divide:x} (divide by {divisor}) initial_count = {state.initial_count} "
        f"current_count = {count}"
    )
    enabled = "enabled" if state.svr & regs.SVR_ENABLED else "disabled"
    yield f"SPIV\t 0x{state.svr:08x} APIC {enabled}, spurious vec {state.svr & 0xFF}"
    yield f"ICR\t 0x{state.icr_low:08x} {_command(state.icr_low)}"
    yield f"ICR2\t 0x{state.icr_high:08x}"
    yield f"ESR\t 0x{state.esr:08x}"
    yield f"ISR\t {_vectors(state.isr, state.tmr)}"
    yield f"IRR\t {_vectors(state.irr, state.tmr)}"
    yield ""
    priorities = f"TPR 0x{state.tpr:02x} DFR 0x{state.dfr:02x} LDR 0x{state.ldr:02x} PPR 0x{apic.priority():02x}"
    yield f"APR 0x{apic.priority():02x} {priorities}"


def _entry(value: int, *, timer: bool) -> str:
    mode = 0 if timer else value >> 8 & 7
    words = [
        "active-lo" if value & 1 << 13 else "active-hi",
        "level" if value & LEVEL else "edge",
        "masked" if value & regs.MASKED else "",
        ("periodic" if value & regs.PERIODIC else "one-shot") if timer else "",
        _MODES[mode] + (f" (vec {value & 0xFF})" if mode in _WITH_VECTOR else ""),
    ]
    return " ".join(word for word in words if word)


def _command(value: int) -> str:
    """The interrupt command register's low half."""
    return " ".join(
        (
            _MODES[value >> 8 & 7],
            f"vec {value & 0xFF}",
            "logical" if value & LOGICAL else "physical",
            "level" if value & LEVEL else "edge",
            "assert" if value & 1 << 14 else "de-assert",
            _SHORTHANDS[value >> 18 & 3],
        )
    )


def _vectors(words: Sequence[int], level: Sequence[int]) -> str:
    shown = [
        f"{vector}{'(level)' if level[vector // 32] >> vector % 32 & 1 else ''}"
        for vector in range(256)
        if words[vector // 32] >> vector % 32 & 1
    ]
    return " ".join(shown) or "(none)"


def pic(pair: I8259Pair, ioapic: IoApic) -> Iterator[str]:
    """The I/O APIC's pins, then both 8259 chips."""
    state = ioapic.save()
    yield f"ioapic: ver=0x11 id=0x{state.id:02x} sel=0x{state.select:02x}"
    for pin in range(PINS):
        yield f"  pin {pin:<2d} 0x{state.destinations[pin] << 56 | state.low[pin]:016x} {_pin(ioapic, pin)}"
    chips = pair.save()
    for name, chip in (("pic1", chips.slave), ("pic0", chips.master)):
        yield f"{name}: {_chip(chip)}"


def _pin(ioapic: IoApic, pin: int) -> str:
    low = ioapic.state.low[pin]
    words = [
        f"dest={ioapic.state.destinations[pin]} vec={low & 0xFF}",
        "active-lo" if low & 1 << 13 else "active-hi",
        "level" if low & LEVEL else "edge",
        "masked" if low & MASKED else "",
        _MODES[low >> 8 & 7],
        "logical" if low & LOGICAL else "physical",
        "remote-irr" if low & REMOTE_IRR else "",
        "asserted" if ioapic.state.inputs >> pin & 1 else "",
    ]
    return " ".join(word for word in words if word)


def _chip(chip: ChipState) -> str:
    return (
        f"irr={chip.irr:02x} imr={chip.imr:02x} isr={chip.isr:02x} hprio={(chip.lowest + 1) & 7} "
        f"irq_base={chip.base:02x} elcr={chip.elcr:02x} inputs={chip.inputs:02x}"
    )


def counts(name: str, requests: Sequence[int]) -> Iterator[str]:
    """How often each input has asked, those that have."""
    yield f"IRQ statistics for {name}:"
    yield from (f"{number:2d}: {count}" for number, count in enumerate(requests) if count)

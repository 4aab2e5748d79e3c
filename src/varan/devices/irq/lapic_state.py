"""The local APIC's registers: their numbers, their state, and the page that shows them.

Source: Intel SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)", local APIC register address map.
"""

from __future__ import annotations

import struct
from typing import Annotated

import msgspec
from msgspec import Meta

from varan.core.state import State
from varan.devices.fields import Byte, Dword

# Register numbers: offsets in the page, divided by 16.
ID, VERSION = 0x02, 0x03
TPR, APR, PPR, EOI, RRD, LDR, DFR, SVR = 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F
ISR, TMR, IRR = 0x10, 0x18, 0x20
"""Eight registers each."""
ESR = 0x28
ICR_LOW, ICR_HIGH = 0x30, 0x31
LVT = 0x32
"""Six registers; the names below are places among them."""
INITIAL_COUNT, CURRENT_COUNT, DIVIDE = 0x38, 0x39, 0x3E
REGISTERS = 0x40

LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR = range(6)
LVT_WRITABLE = (0x300FF, 0x107FF, 0x107FF, 0x1A7FF, 0x1A7FF, 0x100FF)
MASKED, PERIODIC = 1 << 16, 1 << 17
VERSION_VALUE = 0x14 | (len(LVT_WRITABLE) - 1) << 16

SVR_ENABLED, SVR_WRITABLE = 1 << 8, 0x3FF
BASE_BOOT_CPU, BASE_ENABLED = 1 << 8, 1 << 11
BASE_ADDRESS = 0xFEE0_0000
"""The page stays here, whatever address the guest writes into IA32_APIC_BASE."""

PAGE_SIZE = 1024
"""Bytes of the page that hold registers."""

_Words = Annotated[list[Dword], Meta(min_length=8, max_length=8)]


def _no_vectors() -> list[int]:
    return [0] * 8


class LapicState(State, kw_only=True):
    """Register names are the SDM's. Defaults are those of an application processor."""

    base: Annotated[int, Meta(ge=0, lt=1 << 52)] = BASE_ADDRESS | BASE_ENABLED
    """IA32_APIC_BASE."""
    tpr: Byte = 0
    ldr: Byte = 0
    """The logical APIC number: bits 31 to 24 of the register."""
    dfr: Annotated[int, Meta(ge=0, le=15)] = 15
    """The model, bits 31 to 28 of the register: 15 flat, 0 cluster."""
    svr: Annotated[int, Meta(ge=0, le=SVR_WRITABLE)] = 0xFF
    isr: _Words = msgspec.field(default_factory=_no_vectors)
    tmr: _Words = msgspec.field(default_factory=_no_vectors)
    irr: _Words = msgspec.field(default_factory=_no_vectors)
    esr: Byte = 0
    errors: Byte = 0
    """What the next write to ESR makes visible."""
    icr_low: Dword = 0
    icr_high: Dword = 0
    lvt: Annotated[list[Annotated[int, Meta(ge=0, le=0x3FFFF)]], Meta(min_length=6, max_length=6)] = msgspec.field(
        default_factory=lambda: [MASKED] * 6
    )
    initial_count: Dword = 0
    divide: Annotated[int, Meta(ge=0, le=11)] = 0
    timer_start: Annotated[int, Meta(ge=-(1 << 62), lt=1 << 62)] | None = None
    """When the timer began its first (or only) count down from `initial_count`, in nanoseconds; None: it stands."""
    timer_hertz: Annotated[int, Meta(ge=0, lt=1 << 40)] = 0
    """How fast the timer counts before division; 0 until it is first used."""
    lint0: bool = False
    """LINT0's level."""


def to_words(bits: int) -> list[int]:
    """A set of vectors, one bit each, as eight registers."""
    return list(struct.unpack("<8I", bits.to_bytes(32, "little")))


def from_words(words: list[int]) -> int:
    """The inverse of `to_words`."""
    return int.from_bytes(struct.pack("<8I", *words), "little")

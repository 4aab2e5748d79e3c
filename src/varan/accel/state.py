"""The state of one x86 vCPU, the same from every accelerator.

Layouts follow the Intel SDM: segment attributes are the descriptor's bytes 5-6 as VMX stores them (volume 3, 24.4.1,
"access rights"), `xsave` is the standard-format XSAVE area (volume 1, 13.4).
"""

from __future__ import annotations

import enum

import msgspec


class Segment(msgspec.Struct):
    """A segment register with its hidden part.

    `access`: bits 0-3 type, 4 S, 5-6 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G (bits 8-11 zero). `limit` is in bytes, the
    granularity applied.
    """

    selector: int = 0
    base: int = 0
    limit: int = 0xFFFF
    access: int = 0x93


class Table(msgspec.Struct):
    """GDTR or IDTR."""

    base: int = 0
    limit: int = 0xFFFF


class Activity(enum.Enum):
    """What a vCPU is doing (SDM volume 3, 24.4.2)."""

    RUNNING = "running"
    HALTED = "halted"
    WAIT_FOR_SIPI = "wait-for-sipi"


class PendingEvents(msgspec.Struct):
    """What is on its way into the vCPU but not delivered."""

    nmi_pending: bool = False
    nmi_blocked: bool = False
    """An NMI handler is running: further ones wait for its IRET."""
    interrupt_shadow: bool = False
    """The instruction before was STI or MOV SS: interrupts wait for one more instruction."""
    interrupt: int | None = None
    """A vector that was acknowledged at the controller and not yet delivered."""
    exception: int | None = None
    error_code: int | None = None


CODE_ACCESS = 0x9B
DATA_ACCESS = 0x93


class CpuState(msgspec.Struct, kw_only=True):
    """Everything a vCPU needs to go on elsewhere. Defaults are the architecture's values after reset.

    `gprs` in the order of instruction encoding: rax rcx rdx rbx rsp rbp rsi rdi r8 ... r15.
    `msrs` holds what is not a member here, by number (SDM volume 4).
    """

    gprs: list[int] = msgspec.field(default_factory=lambda: [0] * 16)
    rip: int = 0xFFF0
    rflags: int = 2
    cs: Segment = msgspec.field(default_factory=lambda: Segment(0xF000, 0xFFFF0000, 0xFFFF, CODE_ACCESS))
    ds: Segment = msgspec.field(default_factory=Segment)
    es: Segment = msgspec.field(default_factory=Segment)
    fs: Segment = msgspec.field(default_factory=Segment)
    gs: Segment = msgspec.field(default_factory=Segment)
    ss: Segment = msgspec.field(default_factory=Segment)
    ldt: Segment = msgspec.field(default_factory=lambda: Segment(access=0x82))
    tr: Segment = msgspec.field(default_factory=lambda: Segment(access=0x8B))
    gdt: Table = msgspec.field(default_factory=Table)
    idt: Table = msgspec.field(default_factory=Table)
    cr0: int = 0x60000010
    cr2: int = 0
    cr3: int = 0
    cr4: int = 0
    cr8: int = 0
    dr: list[int] = msgspec.field(default_factory=lambda: [0, 0, 0, 0, 0xFFFF0FF0, 0x400])
    """DR0-DR3, DR6, DR7."""
    efer: int = 0
    apic_base: int = 0xFEE00900
    xcr0: int = 1
    xsave: bytes = b""
    """Standard-format XSAVE area; empty means the state after reset."""
    msrs: dict[int, int] = msgspec.field(default_factory=dict)
    lapic: bytes = b""
    """The local APIC's register page (1024 bytes as KVM lays it out); empty without a local APIC."""
    activity: Activity = Activity.RUNNING
    events: PendingEvents = msgspec.field(default_factory=PendingEvents)

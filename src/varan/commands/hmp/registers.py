"""A CPU's registers as the human monitor names and shows them."""

from __future__ import annotations

from collections.abc import Iterator

from varan.accel.state import Activity, CpuState, Segment
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.xsave import fpu_lines

GPRS = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
SEGMENTS = ("es", "cs", "ss", "ds", "fs", "gs")
EFER_LMA = 1 << 10
ACCESS_LONG = 1 << 13
"""L in a segment's access rights."""
CR0_PE = 1
RFLAGS_VM = 1 << 17
LOW_32 = 0xFFFFFFFF

_FLAGS = ((11, "O"), (10, "D"), (7, "S"), (6, "Z"), (4, "A"), (2, "P"), (0, "C"))


def names() -> list[str]:
    """Every name that `read` knows."""
    general = [f"r{name}" for name in GPRS] + [f"e{name}" for name in GPRS] + [f"r{n}" for n in range(8, 16)]
    bases = [f"{name}_base" for name in ("fs", "gs", "gdt", "idt", "ldt", "tr")]
    control = ["cr0", "cr2", "cr3", "cr4", "cr8", "efer", *(f"dr{n}" for n in (0, 1, 2, 3, 6, 7))]
    return sorted(
        [*general, "rip", "eip", "pc", "rflags", "eflags", "sp", "fp", *SEGMENTS, "ldt", "tr", *bases, *control]
    )


def read(state: CpuState, name: str) -> int:
    """The register called `name` (`rax`, `eax`, `r9`, `pc`, `cs`, `gs_base`, `cr3`...). Raises HmpError for another."""
    values = _values(state)
    if name not in values:
        raise HmpError(f"unknown register '${name}'")
    return values[name]


def _values(state: CpuState) -> dict[str, int]:
    values = {f"r{name}": state.gprs[at] for at, name in enumerate(GPRS)}
    values |= {f"e{name}": state.gprs[at] & LOW_32 for at, name in enumerate(GPRS)}
    values |= {f"r{at}": state.gprs[at] for at in range(8, 16)}
    values |= {name: getattr(state, name).selector for name in (*SEGMENTS, "ldt", "tr")}
    values |= {f"{name}_base": getattr(state, name).base for name in ("fs", "gs", "gdt", "idt", "ldt", "tr")}
    values |= {name: getattr(state, name) for name in ("cr0", "cr2", "cr3", "cr4", "cr8", "efer", "rip", "rflags")}
    values |= {f"dr{n}": state.dr[at] for at, n in enumerate((0, 1, 2, 3, 6, 7))}
    values |= {"eip": state.rip & LOW_32, "eflags": state.rflags & LOW_32, "pc": state.cs.base + state.rip}
    return values | {"sp": state.gprs[4], "fp": state.gprs[5]}


def in_long_mode(state: CpuState) -> bool:
    """Whether the CPU runs 64-bit code at present."""
    return bool(state.efer & EFER_LMA and state.cs.access & ACCESS_LONG)


def privilege(state: CpuState) -> int:
    """The current privilege level, 0 to 3."""
    if not state.cr0 & CR0_PE:
        return 0
    return 3 if state.rflags & RFLAGS_VM else state.ss.access >> 5 & 3


def lines(state: CpuState, *, everything: bool = False) -> Iterator[str]:
    """The registers, several on a line, as `NAME=value`; `everything` adds the debug, FPU and vector registers."""
    yield from _general(state)
    flags = "".join(letter if state.rflags >> bit & 1 else "-" for bit, letter in _FLAGS)
    wide = in_long_mode(state)
    rip = (
        f"RIP={state.rip:016x} RFL={state.rflags:08x}"
        if wide
        else f"EIP={state.rip & LOW_32:08x} EFL={state.rflags:08x}"
    )
    halted = int(state.activity is not Activity.RUNNING)
    shadow = int(state.events.interrupt_shadow)
    yield f"{rip} [{flags}] CPL={privilege(state)} II={shadow} HLT={halted}"
    digits = 16 if wide else 8
    for name in SEGMENTS:
        yield _segment(f"{name.upper():<3}", getattr(state, name), digits)
    yield _segment("LDT", state.ldt, digits)
    yield _segment("TR ", state.tr, digits)
    yield f"GDT=     {state.gdt.base:0{digits}x} {state.gdt.limit:08x}"
    yield f"IDT=     {state.idt.base:0{digits}x} {state.idt.limit:08x}"
    yield f"CR0={state.cr0:08x} CR2={state.cr2:0{digits}x} CR3={state.cr3:0{digits}x} CR4={state.cr4:08x}"
    yield " ".join(f"DR{n}={state.dr[n]:0{digits}x}" for n in range(4))
    yield f"DR6={state.dr[4]:0{digits}x} DR7={state.dr[5]:0{digits}x}"
    yield f"EFER={state.efer:016x}"
    if everything:
        yield from fpu_lines(state.xsave)


def _general(state: CpuState) -> Iterator[str]:
    # The order people know from other monitors: a b c d, si di bp sp.
    order = [0, 3, 1, 2, 6, 7, 5, 4]
    if in_long_mode(state):
        named = [(f"R{GPRS[at].upper()}", state.gprs[at]) for at in order]
        named += [(f"R{at}".ljust(3), state.gprs[at]) for at in range(8, 16)]
        shown = [f"{name}={value:016x}" for name, value in named]
    else:
        shown = [f"E{GPRS[at].upper()}={state.gprs[at] & LOW_32:08x}" for at in order]
    for at in range(0, len(shown), 4):
        yield " ".join(shown[at : at + 4])


def _segment(name: str, segment: Segment, digits: int) -> str:
    # Attributes where a descriptor's second word has them: access rights in bits 8-15, AVL L D/B G in bits 20-23.
    flags = (segment.access & 0xFF) << 8 | (segment.access & 0xF000) << 8
    return f"{name}={segment.selector:04x} {segment.base:0{digits}x} {segment.limit:08x} {flags:08x}"

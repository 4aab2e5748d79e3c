"""Looking at guest memory, and saving it."""

from __future__ import annotations

import asyncio

from varan.commands import machine as handlers
from varan.commands.dump import ADDRESS_MASK
from varan.commands.hmp.format import Format, rows
from varan.commands.hmp.pagetable import (
    ACCESSED,
    CACHE_DISABLE,
    DIRTY,
    GLOBAL,
    NO_EXECUTE,
    USER,
    WRITABLE,
    WRITE_THROUGH,
    Mapping,
    Walk,
    ranges,
)
from varan.commands.hmp.registry import INFO, command
from varan.commands.hmp.session import HmpSession

MAX_SHOWN_PAGES = 1 << 16
"""Lines that `info tlb` shows at most."""
_BREATH = 1024
"""Pages after which a walk lets the machine's loop do something else."""


@command("x", "/format address:integer", help="show memory at a virtual address, for instance x/4xg $rsp")
async def x(session: HmpSession, address: int, format: Format | None = None) -> str:
    """Up to the first address that is not mapped."""
    notation, size, length = _layout(format)
    shown: list[str] = []
    vcpu = session.vcpu()
    at = address & ADDRESS_MASK
    data = bytearray()
    reached = at
    for physical, count in await vcpu.translate_range(at, length):
        if physical is None:
            break
        data += session.machine.memory.read_bytes(physical, count)
        reached += count
    shown.extend(rows(bytes(data[: len(data) - len(data) % size]), at, notation, size))
    if len(data) < length:
        shown.append(f"{reached & ADDRESS_MASK:016x}: Cannot access memory")
    return "".join(f"{line}\n" for line in shown)


@command("xp", "/format address:integer", help="show memory at a physical address, for instance xp/16xb 0x7c00")
async def xp(session: HmpSession, address: int, format: Format | None = None) -> str:
    """Holes and devices read as zero."""
    notation, size, length = _layout(format)
    address &= ADDRESS_MASK
    data = session.machine.memory.read_bytes(address, length)
    return "".join(f"{line}\n" for line in rows(data, address, notation, size))


def _layout(format: Format | None) -> tuple[str, int, int]:
    """(notation, bytes of an item, bytes in all)."""
    format = format or Format()
    notation = format.notation or "x"
    size = 1 if notation == "c" else format.size or 4
    return notation, size, size * format.count


@command(
    "memsave",
    "address:integer size:integer filename:string",
    help="save memory at a virtual address, as the chosen CPU maps it, to a file",
)
async def memsave(session: HmpSession, address: int, size: int, filename: str) -> str:
    """As the QMP command, with the session's CPU."""
    session.vcpu()
    await handlers.memsave(session.machine, address, size, filename, session.cpu_index)
    return ""


@command("pmemsave", "address:integer size:integer filename:string", help="save memory at a physical address to a file")
async def pmemsave(session: HmpSession, address: int, size: int, filename: str) -> str:
    """As the QMP command."""
    await handlers.pmemsave(session.machine, address, size, filename)
    return ""


@command("gva2gpa", "address:integer", help="show the physical address behind a virtual one")
async def gva2gpa(session: HmpSession, address: int) -> str:
    """By the chosen CPU's page tables."""
    physical = await session.vcpu().translate(address & ADDRESS_MASK)
    return "Unmapped\n" if physical is None else f"gpa: {physical:#x}\n"


@command("nmi", help="raise a non-maskable interrupt on every CPU")
async def nmi(session: HmpSession) -> str:
    """As the QMP command inject-nmi."""
    await handlers.inject_nmi(session.machine)
    return ""


@command("mem", help="which virtual addresses the chosen CPU maps, with the rights there", group=INFO)
async def info_mem(session: HmpSession) -> str:
    """Ranges of equal rights: u for user mode, r, w."""
    walk = Walk(session.machine.memory, await session.vcpu().get_state())
    if not walk.paging:
        return "PG disabled\n"
    pages = await _collect(walk)
    lines = [
        f"{found.start:016x}-{found.end:016x} {found.end - found.start:016x} {_rights(found.rights)}\n"
        for found in ranges(page._replace(rights=page.rights & (USER | WRITABLE)) for page in pages)
    ]
    return "".join(lines) + _cut(walk)


@command("tlb", help="every page that the chosen CPU maps", group=INFO)
async def info_tlb(session: HmpSession) -> str:
    """Virtual address, physical address, and the entry's bits: X no-execute, G, P large page, D, A, C, T, U, W."""
    walk = Walk(session.machine.memory, await session.vcpu().get_state())
    if not walk.paging:
        return "PG disabled\n"
    pages = await _collect(walk, MAX_SHOWN_PAGES)
    return "".join(map(_page_line, pages)) + _cut(walk)


async def _collect(walk: Walk, limit: int | None = None) -> list[Mapping]:
    pages: list[Mapping] = []
    for page in walk:
        if limit is not None and len(pages) >= limit:
            walk.truncated = True
            break
        pages.append(page)
        if len(pages) % _BREATH == 0:
            await asyncio.sleep(0)
    return pages


def _rights(rights: int) -> str:
    return f"{'u' if rights & USER else '-'}r{'w' if rights & WRITABLE else '-'}"


def _page_line(page: Mapping) -> str:
    bits = (
        (NO_EXECUTE, "X"),
        (GLOBAL, "G"),
        (DIRTY, "D"),
        (ACCESSED, "A"),
        (CACHE_DISABLE, "C"),
        (WRITE_THROUGH, "T"),
        (USER, "U"),
        (WRITABLE, "W"),
    )
    letters = [letter if page.entry & bit else "-" for bit, letter in bits]
    letters.insert(2, "P" if page.size > 4096 else "-")
    return f"{page.virtual:016x}: {page.physical:016x} {''.join(letters)}\n"


def _cut(walk: Walk) -> str:
    return f"... and more: stopped after {walk.tables} tables\n" if walk.truncated else ""

"""Descriptors and gates as they lie in memory (SDM volume 3, 3.4.5 and 6.11), for delivery in Python."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from varan.accel.unicorn.layout import Env, SegmentCache

_ACCESSED = 1 << 8


class Fault(Exception):
    """An exception that the guest must see; `address` is what CR2 gets."""

    def __init__(self, vector: int, error_code: int, address: int = 0) -> None:
        super().__init__(vector, error_code, address)
        self.vector = vector
        self.error_code = error_code
        self.address = address


class SystemReader(Protocol):
    """Reads system structures at linear addresses."""

    def read(self, linear: int, size: int) -> int: ...


class Gate(NamedTuple):
    """An interrupt or trap gate."""

    selector: int
    offset: int
    kind: int
    """The type field: 6 and 7 are 16-bit interrupt and trap gates, 14 and 15 wide ones."""
    privilege: int
    present: bool
    stack_index: int

    @classmethod
    def parse(cls, raw: int, high: int) -> Gate:
        """`raw`: the first eight bytes; `high`: the upper half of a 64-bit offset, or 0."""
        kind = raw >> 40 & 0x1F
        wide = kind >= 14
        offset = (raw & 0xFFFF) | (raw >> 48 << 16 if wide else 0) | high << 32
        return cls(raw >> 16 & 0xFFFF, offset, kind, raw >> 45 & 3, bool(raw >> 47 & 1), raw >> 32 & 7 if wide else 0)


class Descriptor(NamedTuple):
    """A code or data segment descriptor; `flags` is its second word, as hidden segment parts keep it."""

    base: int
    limit: int
    flags: int

    @property
    def present(self) -> bool:
        return bool(self.flags & 1 << 15)

    @property
    def privilege(self) -> int:
        return self.flags >> 13 & 3

    @property
    def is_code(self) -> bool:
        return self.flags & 0x1800 == 0x1800

    @property
    def is_writable_data(self) -> bool:
        return self.flags & 0x1A00 == 0x1200

    @property
    def conforming(self) -> bool:
        return bool(self.flags & 1 << 10)

    @property
    def long(self) -> bool:
        return bool(self.flags & 1 << 21)

    @property
    def big(self) -> bool:
        return bool(self.flags & 1 << 22)


def read_descriptor(reader: SystemReader, env: Env, selector: int) -> Descriptor | None:
    """The descriptor `selector` names, None beyond its table's limit."""
    table = env.ldt if selector & 4 else env.gdt
    offset = selector & 0xFFF8
    if offset + 7 > table.limit:
        return None
    raw = reader.read(table.base + offset, 8)
    low, high = raw & 0xFFFF_FFFF, raw >> 32
    base = low >> 16 | (high & 0xFF) << 16 | high & 0xFF00_0000
    limit = (low & 0xFFFF) | (high & 0xF_0000)
    if high & 1 << 23:
        limit = limit << 12 | 0xFFF
    return Descriptor(base, limit, high | _ACCESSED)


def load_segment(cache: SegmentCache, selector: int, base: int, limit: int, flags: int) -> None:
    """Set a segment register with its hidden part."""
    cache.selector, cache.base, cache.limit, cache.flags = selector, base, limit, flags

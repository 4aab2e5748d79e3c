"""What L2 entries say: runs of guest bytes of one kind, decoded from a (part of an) L2 table. Pure.

Standard entries are one word; extended ones two, the second a bitmap of 32 subclusters (allocated in the low half,
zero in the high half).
"""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind
from varan.block.formats.qcow2 import layout as q
from varan.light import TYPE_CHECKING, IntEnum, Protocol, record

if TYPE_CHECKING:
    from collections.abc import MutableSequence


class Kind(IntEnum):
    """Where guest bytes come from."""

    UNALLOCATED = 0
    """The backing file, or zeros."""
    ZERO = 1
    DATA = 2
    COMPRESSED = 3


@record(frozen=True, slots=True)
class Run:
    """`length` guest bytes of one kind."""

    kind: Kind
    length: int
    host: int = 0
    """Host offset of the first byte: of DATA, and of others where space is kept for them (else 0)."""
    entry: int = 0
    """COMPRESSED: the L2 entry."""


def corrupt_entry(entry: int, why: str) -> BlockError:
    """The error for an L2 entry that cannot be."""
    return BlockError(ErrorKind.CORRUPT, f"L2 entry {entry:#x}: {why}")


class Mapper(Protocol):
    """Decodes entries of one form."""

    def run(self, entries: MutableSequence[int], index: int, skip: int, length: int) -> Run:
        """The run that begins `skip` bytes into entry `index`: at most `length` bytes, not past `entries`."""


class StandardMapper:
    """Entries of one word."""

    def __init__(self, geometry: q.Geometry, *, zero_flag: bool, data_file: bool) -> None:
        self.size = geometry.cluster_size
        self.zero_flag = zero_flag
        self.present = q.OFFSET_MASK | (q.COPIED if data_file else 0)
        """An entry with none of these bits has no host cluster (offset 0 is one in an external data file)."""

    def run(self, entries: MutableSequence[int], index: int, skip: int, length: int) -> Run:
        """See Mapper. Raises BlockError (CORRUPT)."""
        entry = entries[index]
        size = self.size
        if entry & q.COMPRESSED:
            return Run(Kind.COMPRESSED, min(length, size - skip), 0, entry)
        last = min(len(entries), index - (-(skip + length) // size))
        host = entry & q.OFFSET_MASK
        if host & (size - 1):
            raise corrupt_entry(entry, "the host offset is not that of a cluster")
        at = index + 1
        if entry & q.ZERO:
            if not self.zero_flag:
                raise corrupt_entry(entry, "a zero cluster in a version 2 image")
            step, flags = (size, q.ZERO) if host else (0, q.ZERO)
            kind = Kind.ZERO
        elif entry & self.present:
            step, flags, kind = size, 0, Kind.DATA
        else:
            rest = entries[at:last]
            at = last if not any(rest) else at + next(i for i, value in enumerate(rest) if self._mapped(value))
            return Run(Kind.UNALLOCATED, min(length, (at - index) * size - skip))
        mask = q.OFFSET_MASK | q.ZERO | q.COMPRESSED
        if kind is Kind.DATA:
            mask |= self.present
            flags = entry & self.present & q.COPIED
        expected = (host + step) | flags
        while at < last and entries[at] & mask == expected:
            expected += step
            at += 1
        return Run(kind, min(length, (at - index) * size - skip), host + skip if step else 0)

    def _mapped(self, entry: int) -> bool:
        return bool(entry & (self.present | q.ZERO | q.COMPRESSED))


class ExtendedMapper:
    """Entries of two words, with subclusters."""

    def __init__(self, geometry: q.Geometry, *, data_file: bool) -> None:
        self.size = geometry.cluster_size
        self.sub = geometry.subcluster_size
        self.present = q.OFFSET_MASK | (q.COPIED if data_file else 0)

    def _kind(self, entry: int, bitmap: int, at: int) -> tuple[Kind, int]:
        """The kind of subcluster `at` and how many of the cluster's follow with the same, itself included."""
        allocated, zero = bitmap & q.ALL_SUBCLUSTERS, bitmap >> q.SUBCLUSTERS
        if allocated & zero:
            raise corrupt_entry(entry, "a subcluster is both allocated and zero")
        if zero >> at & 1:
            kind, bits = Kind.ZERO, zero
        elif allocated >> at & 1:
            kind, bits = Kind.DATA, allocated
            if not entry & self.present:
                raise corrupt_entry(entry, "allocated subclusters without a host cluster")
        else:
            kind, bits = Kind.UNALLOCATED, ~(allocated | zero) & q.ALL_SUBCLUSTERS
        bits >>= at
        return kind, (~bits & (bits + 1)).bit_length() - 1

    def run(self, entries: MutableSequence[int], index: int, skip: int, length: int) -> Run:
        """See Mapper. Raises BlockError (CORRUPT)."""
        word = index * 2
        entry = entries[word]
        if entry & q.COMPRESSED:
            return Run(Kind.COMPRESSED, min(length, self.size - skip), 0, entry)
        host = entry & q.OFFSET_MASK
        if host & (self.size - 1):
            raise corrupt_entry(entry, "the host offset is not that of a cluster")
        at = skip // self.sub
        kind, count = self._kind(entry, entries[word + 1], at)
        covered = (at + count) * self.sub - skip
        first_host = host + skip if kind is Kind.DATA or host else 0
        expected = host + self.size if first_host or kind is Kind.DATA else 0
        while (covered + skip) % self.size == 0 and covered < length and word + 2 < len(entries):
            word += 2
            entry = entries[word]
            if entry & q.COMPRESSED or entry & q.OFFSET_MASK != expected:
                break
            following, count = self._kind(entry, entries[word + 1], 0)
            if following is not kind:
                break
            covered += count * self.sub
            expected += self.size if expected else 0
        return Run(kind, min(length, covered), first_host)


def make_mapper(geometry: q.Geometry, *, zero_flag: bool, data_file: bool) -> Mapper:
    """The decoder for an image's entries."""
    if geometry.extended_l2:
        return ExtendedMapper(geometry, data_file=data_file)
    return StandardMapper(geometry, zero_flag=zero_flag, data_file=data_file)

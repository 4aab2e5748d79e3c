"""How L2 entries change: what may be written in place, what needs a new cluster, and the entries afterwards. Pure."""

from __future__ import annotations

from array import array

from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.header import Header
from varan.light import TYPE_CHECKING, Protocol, record

if TYPE_CHECKING:
    from collections.abc import MutableSequence
    from typing import TypeAlias

Entries: TypeAlias = "MutableSequence[int]"


@record(frozen=True, slots=True)
class Covered:
    """Bytes `start` to `end` of `clusters` clusters (counted from the first one's start) are in place."""

    clusters: int
    start: int
    end: int


class EntryEditor(Protocol):
    """Changes entries of one form. `index` counts entries, whatever their words."""

    def in_place(self, entries: Entries, index: int, skip: int, length: int) -> tuple[int, int]:
        """(host offset, bytes up to `length`) that may be overwritten with no change of entries."""

    def reusable(self, entries: Entries, index: int, count: int) -> tuple[int | None, int]:
        """(host offset, clusters up to `count`) that the entries keep for themselves alone; None where they do not."""

    def to_allocate(self, entries: Entries, index: int, count: int) -> int:
        """How many clusters (up to `count`, at least 1) need a new place."""

    def needed(self, entries: Entries, index: int, span: tuple[int, int, int], *, fresh: bool) -> tuple[int, int]:
        """The guest range that has to be in place for a write: `span` is (start of the first cluster, start, end)."""

    def link(self, entries: Entries, index: int, host: int, covered: Covered) -> list[int]:
        """Point to host clusters from `host` on; the former entries whose clusters are referred to no more."""

    def zero(self, entries: Entries, index: int, count: int, *, keep: bool) -> list[int]:
        """Make clusters read as zeros (`keep`: with the space they have); former entries whose clusters are free."""

    def zero_part(self, entries: Entries, index: int, start: int, end: int) -> bool:
        """Make bytes `start` to `end` (whole subclusters) of a cluster read as zeros; False when that cannot be."""

    def drop(self, entries: Entries, index: int, count: int, *, hide_backing: bool) -> list[int]:
        """Discard clusters; `hide_backing`: allocated or not, they read as zeros then. Former entries to release."""


class StandardEditor:
    """Entries of one word."""

    def __init__(self, geometry: q.Geometry, *, zero_flag: bool, data_file: bool) -> None:
        self.size = geometry.cluster_size
        self.zero_flag = zero_flag
        self.present = q.OFFSET_MASK | (q.COPIED if data_file else 0)
        self.data_file = data_file

    def in_place(self, entries: Entries, index: int, skip: int, length: int) -> tuple[int, int]:
        """See EntryEditor."""
        entry = entries[index]
        host = entry & q.OFFSET_MASK
        if entry != host | q.COPIED or not (host or self.data_file) or host & (self.size - 1):
            return 0, 0
        room = self.size - skip
        last = len(entries)
        while room < length:
            index += 1
            entry += self.size
            if index >= last or entries[index] != entry:
                return host + skip, room
            room += self.size
        return host + skip, length

    def reusable(self, entries: Entries, index: int, count: int) -> tuple[int | None, int]:
        """See EntryEditor."""
        entry = entries[index]
        host = entry & q.OFFSET_MASK
        if not host or entry != host | q.COPIED | q.ZERO or host & (self.size - 1):
            return None, 0
        found = 1
        while found < count and entries[index + found] == entry + found * self.size:
            found += 1
        return host, found

    def to_allocate(self, entries: Entries, index: int, count: int) -> int:
        """See EntryEditor."""
        if not any(entries[index : index + count]):
            return count
        for at in range(1, count):
            entry = entries[index + at]
            if entry & q.COPIED and not entry & q.COMPRESSED:
                return at
        return count

    def needed(self, entries: Entries, index: int, span: tuple[int, int, int], *, fresh: bool) -> tuple[int, int]:
        """See EntryEditor."""
        base, _, end = span
        return base, -(-end // self.size) * self.size

    def link(self, entries: Entries, index: int, host: int, covered: Covered) -> list[int]:
        """See EntryEditor."""
        count = covered.clusters
        former = entries[index : index + count]
        first = host | q.COPIED
        entries[index : index + count] = array("Q", range(first, first + count * self.size, self.size))
        if not any(former):
            return []
        mask = q.COMPRESSED | q.OFFSET_MASK
        return [
            old
            for at, old in enumerate(former)
            if old & mask and (old & q.COMPRESSED or old & q.OFFSET_MASK != host + at * self.size)
        ]

    def zero(self, entries: Entries, index: int, count: int, *, keep: bool) -> list[int]:
        """See EntryEditor. Without the zero flag (version 2) clusters are dropped."""
        released = []
        for at in range(index, index + count):
            entry = entries[at]
            if entry & q.COMPRESSED or not keep or not self.zero_flag:
                if entry & (q.OFFSET_MASK | q.COMPRESSED):
                    released.append(entry)
                entries[at] = q.ZERO if self.zero_flag else 0
            else:
                entries[at] = entry | q.ZERO
        return released

    def zero_part(self, entries: Entries, index: int, start: int, end: int) -> bool:
        """See EntryEditor."""
        return False

    def drop(self, entries: Entries, index: int, count: int, *, hide_backing: bool) -> list[int]:
        """See EntryEditor."""
        released = []
        for at in range(index, index + count):
            entry = entries[at]
            if entry & (q.OFFSET_MASK | q.COMPRESSED):
                released.append(entry)
            hide = hide_backing and self.zero_flag
            entries[at] = q.ZERO if hide else 0
        return released


class ExtendedEditor:
    """Entries of two words, with subclusters."""

    def __init__(self, geometry: q.Geometry, *, data_file: bool) -> None:
        self.size = geometry.cluster_size
        self.sub = geometry.subcluster_size
        self.data_file = data_file

    def _own(self, entry: int) -> bool:
        """The entry has a host cluster for itself alone."""
        if entry & q.COMPRESSED or not entry & q.COPIED or entry & q.OFFSET_MASK & (self.size - 1):
            return False
        return bool(entry & q.OFFSET_MASK) or self.data_file

    def in_place(self, entries: Entries, index: int, skip: int, length: int) -> tuple[int, int]:
        """See EntryEditor."""
        word = 2 * index
        if not self._own(entries[word]):
            return 0, 0
        host = entries[word] & q.OFFSET_MASK
        expected, done, at = entries[word], 0, skip
        while done < length and word < len(entries) and entries[word] == expected:
            bits = (entries[word + 1] & q.ALL_SUBCLUSTERS) >> at // self.sub
            count = (~bits & (bits + 1)).bit_length() - 1
            if not count:
                break
            reach = (at // self.sub + count) * self.sub
            done += reach - at
            if reach < self.size:
                break
            at, word, expected = 0, word + 2, expected + self.size
        return host + skip, min(done, length)

    def reusable(self, entries: Entries, index: int, count: int) -> tuple[int | None, int]:
        """See EntryEditor."""
        entry = entries[2 * index]
        if not self._own(entry):
            return None, 0
        found = 1
        while found < count and entries[2 * (index + found)] == entry + found * self.size:
            found += 1
        return entry & q.OFFSET_MASK, found

    def to_allocate(self, entries: Entries, index: int, count: int) -> int:
        """See EntryEditor."""
        for at in range(1, count):
            if self._own(entries[2 * (index + at)]):
                return at
        return count

    def needed(self, entries: Entries, index: int, span: tuple[int, int, int], *, fresh: bool) -> tuple[int, int]:
        """See EntryEditor."""
        base, start, end = span
        last = index + (end - 1 - base) // self.size
        low = self._edge(entries, index, start - base, fresh=fresh, up=False) + base
        last_base = base + (last - index) * self.size
        high = self._edge(entries, last, end - last_base, fresh=fresh, up=True) + last_base
        return low, high

    def _edge(self, entries: Entries, index: int, at: int, *, fresh: bool, up: bool) -> int:
        """Where in its cluster the part to be in place begins or (`up`) ends, for a write that does so at `at`."""
        entry, bitmap = entries[2 * index], entries[2 * index + 1]
        if fresh and entry & (q.OFFSET_MASK | q.COMPRESSED):
            return self.size if up else 0
        if at % self.sub == 0:
            return at
        if not fresh and bitmap >> at // self.sub & 1:
            return at
        return at - at % self.sub + (self.sub if up else 0)

    def link(self, entries: Entries, index: int, host: int, covered: Covered) -> list[int]:
        """See EntryEditor."""
        released = []
        for at in range(covered.clusters):
            word = 2 * (index + at)
            old, bitmap = entries[word], entries[word + 1]
            new = host + at * self.size | q.COPIED
            low = max(0, covered.start - at * self.size) // self.sub
            high = max(low, -(-min(self.size, covered.end - at * self.size) // self.sub))
            mask = (1 << high) - (1 << low)
            if old != new:
                if old & (q.OFFSET_MASK | q.COMPRESSED):
                    released.append(old)
                    bitmap = 0
                entries[word] = new
            entries[word + 1] = (bitmap | mask) & ~(mask << q.SUBCLUSTERS)
        return released

    def zero(self, entries: Entries, index: int, count: int, *, keep: bool) -> list[int]:
        """See EntryEditor."""
        released = []
        for word in range(2 * index, 2 * (index + count), 2):
            entry = entries[word]
            if entry & q.COMPRESSED or not keep:
                if entry & (q.OFFSET_MASK | q.COMPRESSED):
                    released.append(entry)
                entries[word] = 0
            entries[word + 1] = q.ALL_SUBCLUSTERS << q.SUBCLUSTERS
        return released

    def zero_part(self, entries: Entries, index: int, start: int, end: int) -> bool:
        """See EntryEditor."""
        word = 2 * index
        if entries[word] & q.COMPRESSED:
            return False
        mask = (1 << end // self.sub) - (1 << start // self.sub)
        entries[word + 1] = entries[word + 1] & ~mask | mask << q.SUBCLUSTERS
        return True

    def drop(self, entries: Entries, index: int, count: int, *, hide_backing: bool) -> list[int]:
        """See EntryEditor."""
        released = []
        for word in range(2 * index, 2 * (index + count), 2):
            entry = entries[word]
            if entry & (q.OFFSET_MASK | q.COMPRESSED):
                released.append(entry)
            entries[word] = 0
            entries[word + 1] = q.ALL_SUBCLUSTERS << q.SUBCLUSTERS if hide_backing else 0
        return released


def make_editor(geometry: q.Geometry, header: Header) -> EntryEditor:
    """The editor for an image's entries."""
    if geometry.extended_l2:
        return ExtendedEditor(geometry, data_file=header.has_data_file)
    return StandardEditor(geometry, zero_flag=header.version >= 3, data_file=header.has_data_file)

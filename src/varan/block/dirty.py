"""Dirty bitmaps: which parts of a disk were written since the bitmap was last cleared.

One bit stands for `granularity` bytes. Bits are packed, the lowest bit of a byte first, which is also how qcow2 keeps
them on disk. Marking is what every write pays, so it touches only the bytes concerned; scans are
left to regular expressions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from varan.block.base import BlockError, ErrorKind

MIN_GRANULARITY = 512
MAX_GRANULARITY = 1 << 31
DEFAULT_GRANULARITY = 65536
MAX_BITMAP_BYTES = 512 << 20
"""Memory that one bitmap may take."""

_STEP = 1 << 20
"""Bitmap bytes taken as one number."""
_STRETCH = re.compile(rb"\xff+|[^\x00]", re.DOTALL)
"""Bytes that are all set, as many as there are; else one that is not empty."""


def _runs_of(byte: int) -> tuple[tuple[int, int], ...]:
    runs = re.finditer("1+", f"{byte:08b}"[::-1])
    return tuple(run.span() for run in runs)


_RUNS = tuple(map(_runs_of, range(256)))
"""For each byte the runs of bits set in it, the lowest bit first."""


class DirtyBitmap:
    """The dirty parts of a disk of `size` bytes. Offsets and lengths are in bytes.

    `enabled`: writes are recorded. `persistent`: kept in the image when it is closed. `inconsistent`: the image was
    not closed properly while the bitmap was in use, so nothing in it can be relied on. `busy`: an operation uses it.
    """

    def __init__(self, name: str, size: int, granularity: int = DEFAULT_GRANULARITY) -> None:
        if granularity & (granularity - 1) or not MIN_GRANULARITY <= granularity <= MAX_GRANULARITY:
            limits = f"{MIN_GRANULARITY} to {MAX_GRANULARITY}"
            raise BlockError(ErrorKind.INVALID, f"bitmap '{name}': the granularity is a power of two, {limits}")
        self.name = name
        self.granularity = granularity
        self.enabled = True
        self.persistent = False
        self.inconsistent = False
        self.busy = False
        self.successor: DirtyBitmap | None = None
        """Where writes are recorded instead while an operation needs this bitmap as it is."""
        self.changed = False
        """Bits differ from when this was last set to False."""
        self._shift = granularity.bit_length() - 1
        self._size = size
        self._bits = bytearray(self._bytes_for(size))

    def _bytes_for(self, size: int) -> int:
        length = -(-size // (self.granularity * 8))
        if length > MAX_BITMAP_BYTES:
            raise BlockError(
                ErrorKind.INVALID, f"bitmap '{self.name}' of a disk of {size} bytes wants a larger granularity"
            )
        return length

    @property
    def size(self) -> int:
        """Bytes of disk."""
        return self._size

    @property
    def bits(self) -> memoryview:
        """The packed bits. Whoever writes here keeps those past the end zero."""
        return memoryview(self._bits)

    def set(self, offset: int, length: int) -> None:
        """Mark a range dirty, also where it touches a granule only in part."""
        end = min(offset + length, self._size)
        if offset < end:
            self._fill(offset >> self._shift, ((end - 1) >> self._shift) + 1, value=True)

    def clear(self, offset: int, length: int) -> None:
        """Mark the granules that lie wholly in a range (or reach past the disk's end) clean."""
        end = offset + length
        first = (offset + self.granularity - 1) >> self._shift
        last = self._granules if end >= self._size else end >> self._shift
        if first < last:
            self._fill(first, last, value=False)

    def clear_all(self) -> None:
        """Mark everything clean."""
        self.changed = True
        self._bits = bytearray(len(self._bits))

    def set_all(self) -> None:
        """Mark everything dirty."""
        self.set(0, self._size)

    @property
    def _granules(self) -> int:
        return (self._size + self.granularity - 1) >> self._shift

    def _fill(self, first: int, last: int, *, value: bool) -> None:
        bits = self._bits
        self.changed = True
        head, tail = first >> 3, last >> 3
        head_mask = 0xFF << (first & 7) & 0xFF
        tail_mask = (1 << (last & 7)) - 1
        if head == tail:
            self._change(head, head_mask & tail_mask, value)
            return
        if first & 7:
            self._change(head, head_mask, value)
            head += 1
        if tail > head:
            bits[head:tail] = (b"\xff" if value else b"\0") * (tail - head)
        if tail_mask:
            self._change(tail, tail_mask, value)

    def _change(self, index: int, mask: int, value: bool) -> None:
        if value:
            self._bits[index] |= mask
        else:
            self._bits[index] &= ~mask

    @property
    def recording(self) -> bool:
        """Whether writes are recorded, here or in the successor."""
        return self.enabled or (self.successor is not None and self.successor.enabled)

    def record(self, offset: int, length: int, size: int) -> None:
        """A disk of `size` bytes has changed here."""
        bitmap = self.successor or self
        if bitmap.enabled:
            if bitmap.size != size:
                self.follow_size(size)
            bitmap.set(offset, length)

    def follow_size(self, size: int) -> None:
        """Follow the disk to another size, where it has one."""
        for bitmap in (self, self.successor):
            if bitmap is not None and bitmap.size != size:
                bitmap.resize(size)

    # An operation takes the bitmap as it is, and says later what became of it.

    def freeze(self) -> None:
        """Keep it as it is: what is written from now on is recorded in a successor. It is busy meanwhile."""
        successor = DirtyBitmap(self.name, self._size, self.granularity)
        successor.enabled, self.enabled = self.enabled, False
        self.successor, self.busy = successor, True

    def thaw(self, *, keep: bool) -> None:
        """End what `freeze` began: with what was written since and, with `keep`, what it had before."""
        successor = self.successor
        assert successor is not None
        self.successor, self.busy = None, False
        self.enabled = successor.enabled
        if not keep:
            self.clear_all()
        self.merge(successor)

    def get(self, offset: int) -> bool:
        """Whether the granule of `offset` is dirty."""
        granule = offset >> self._shift
        return bool(self._bits[granule >> 3] >> (granule & 7) & 1)

    @property
    def count(self) -> int:
        """Dirty bytes: granules times granularity, the last one cut at the disk's end."""
        granules = sum(
            int.from_bytes(self._bits[at : at + _STEP], "little").bit_count() for at in range(0, len(self._bits), _STEP)
        )
        total = granules << self._shift
        rest = self._size & (self.granularity - 1)
        return total - (self.granularity - rest) if rest and self.get(self._size - 1) else total

    def next_dirty(self, offset: int) -> tuple[int, int] | None:
        """The first dirty range at or after `offset`: (offset, length)."""
        for start, length in self.areas(offset):
            return start, length
        return None

    def areas(self, offset: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        """Dirty ranges between `offset` and `end`, as (offset, length), longest possible, in order."""
        end = self._size if end is None else min(end, self._size)
        run_start: int | None = None
        run_end = 0
        for first, last in self._runs(offset >> self._shift, -(-end // self.granularity)):
            if run_start is not None and first == run_end:
                run_end = last
                continue
            if run_start is not None:
                yield self._area(run_start, run_end, offset, end)
            run_start, run_end = first, last
        if run_start is not None:
            yield self._area(run_start, run_end, offset, end)

    def _area(self, first: int, last: int, offset: int, end: int) -> tuple[int, int]:
        start = max(first << self._shift, offset)
        return start, min(last << self._shift, end) - start

    def _runs(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Runs of set bits among granules, cut at bytes that are not all set."""
        for found in _STRETCH.finditer(self._bits, first >> 3, min(-(-last // 8), len(self._bits))):
            at, end = found.span()
            byte = self._bits[at]
            for start, stop in ((0, (end - at) * 8),) if byte == 0xFF else _RUNS[byte]:
                if at * 8 + stop > first and at * 8 + start < last:
                    yield max(at * 8 + start, first), min(at * 8 + stop, last)

    def merge(self, other: DirtyBitmap) -> None:
        """Mark dirty here what is dirty in `other`, whatever its granularity. Raises BlockError when sizes differ."""
        if other.size != self._size:
            raise BlockError(
                ErrorKind.INVALID, f"bitmaps '{self.name}' and '{other.name}' are for disks of different sizes"
            )
        if other.granularity == self.granularity:
            for at in range(0, len(self._bits), _STEP):
                part = slice(at, at + _STEP)
                both = int.from_bytes(self._bits[part], "little") | int.from_bytes(other._bits[part], "little")
                self._bits[part] = both.to_bytes(len(self._bits[part]), "little")
            self.changed = True
            return
        for start, length in other.areas():
            self.set(start, length)

    def copy(self, name: str) -> DirtyBitmap:
        """A bitmap of the same content under another name."""
        twin = DirtyBitmap(name, self._size, self.granularity)
        twin._bits[:] = self._bits
        return twin

    def resize(self, size: int) -> None:
        """Follow the disk to another size. What is added is clean."""
        length = self._bytes_for(size)
        self.changed = True
        self._bits = self._bits[:length] + bytearray(max(0, length - len(self._bits)))
        self._size = size
        last = self._granules
        if last & 7:
            self._bits[last >> 3] &= (1 << (last & 7)) - 1

    def load(self, offset: int, data: bytes | memoryview) -> None:
        """Take packed bits, from byte `offset` of the bitmap on, as they are stored; those past the end are dropped."""
        usable = min(len(data), len(self._bits) - offset)
        if usable > 0:
            self._bits[offset : offset + usable] = data[:usable]
        if self._granules & 7 and self._bits:
            self._bits[-1] &= (1 << (self._granules & 7)) - 1

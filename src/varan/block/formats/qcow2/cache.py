"""A bounded cache of metadata tables: L2 tables (in slices) and refcount blocks, with what is dirty in each.

The cache holds and finds tables and writes dirty ones when told. It never decides *when*: the order of metadata
writes is the business of `metadata.Metadata.commit_locked` alone. So only clean tables are evicted, and a cache may
grow past its limit until its owner commits (`crowded` says when that is due).
"""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.formats.qcow2.buffers import read_padded
from varan.block.lazy import Lock
from varan.light import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableSequence

MAX_VECTORS = 512


class Codec(Protocol):
    """How a table looks on disk and in memory."""

    load_event: str
    update_event: str
    """What fault injection knows reading and writing such tables as."""

    def decode(self, data: bytearray) -> MutableSequence[int]:
        """Entries in memory of a table's bytes."""

    def encode(self, entries: MutableSequence[int], low: int, high: int) -> tuple[int, bytes]:
        """(byte offset in the table, bytes) that hold at least entries `low` to `high` (exclusive)."""


class Table:
    """A cached table. `linked` False: nothing on disk refers to it yet, so it may be written at any time."""

    __slots__ = ("entries", "high", "linked", "low", "offset", "recent")

    def __init__(self, offset: int, entries: MutableSequence[int], *, linked: bool = True) -> None:
        self.offset = offset
        self.entries = entries
        self.linked = linked
        self.low = self.high = 0
        self.recent = True

    @property
    def dirty(self) -> bool:
        """Some entries differ from the file's."""
        return self.high > self.low


class TableCache:
    """Tables of `table_bytes` each, by file offset. Those looked at since the last round of eviction survive one."""

    def __init__(self, file: Node, codec: Codec, table_bytes: int, limit_bytes: int) -> None:
        self.file = file
        self.codec = codec
        self.table_bytes = table_bytes
        self.limit = max(2, limit_bytes // table_bytes)
        self._tables: dict[int, Table] = {}
        self._dirty: dict[int, Table] = {}
        self._loading = Lock()

    def peek(self, offset: int) -> Table | None:
        """The table at `offset` where it is cached."""
        table = self._tables.get(offset)
        if table is not None:
            table.recent = True
        return table

    async def get(self, offset: int) -> Table:
        """The table at `offset`, read where it is not cached. Raises BlockError."""
        table = self.peek(offset)
        if table is not None:
            return table
        async with self._loading:
            table = self._tables.get(offset)
            if table is None:
                if offset >= self.file.length:
                    raise BlockError(ErrorKind.CORRUPT, f"a table at {offset:#x} is past the end of the file")
                data = bytearray(self.table_bytes)
                if self.file.listens:
                    await self.file.event(self.codec.load_event)
                await read_padded(self.file, offset, [memoryview(data)])
                table = Table(offset, self.codec.decode(data))
                self._insert(table)
        return table

    def add(self, offset: int, *, linked: bool) -> Table:
        """A new table of zeros at `offset`, wholly dirty."""
        table = Table(offset, self.codec.decode(bytearray(self.table_bytes)), linked=linked)
        self._insert(table)
        self.touch(table, 0, len(table.entries))
        return table

    def _insert(self, table: Table) -> None:
        if len(self._tables) >= self.limit:
            self._evict()
        self._tables[table.offset] = table

    def _evict(self) -> None:
        excess = len(self._tables) - self.limit + 1
        for table in list(self._tables.values()):
            if table.recent:
                table.recent = False
                continue
            if not table.dirty:
                del self._tables[table.offset]
                excess -= 1
                if not excess:
                    break

    def drop_unused(self) -> None:
        """Drop clean tables that were not looked at since the last call."""
        for table in list(self._tables.values()):
            if table.recent:
                table.recent = False
            elif not table.dirty:
                del self._tables[table.offset]

    def touch(self, table: Table, low: int, high: int) -> None:
        """Entries `low` to `high` (exclusive) were changed."""
        if table.high > table.low:
            table.low = min(table.low, low)
            table.high = max(table.high, high)
        else:
            table.low, table.high = low, high
            self._dirty[table.offset] = table

    @property
    def crowded(self) -> bool:
        """So much is dirty that the owner should commit."""
        return len(self._dirty) * 2 > self.limit

    @property
    def any_dirty(self) -> bool:
        """Something is to be written."""
        return bool(self._dirty)

    def dirty(self, *, linked: bool | None = None) -> list[Table]:
        """Dirty tables, all or those linked (or not)."""
        return [table for table in self._dirty.values() if linked is None or table.linked == linked]

    def forget(self, offset: int) -> None:
        """The table at `offset` is no more: drop it, dirty or not."""
        self._tables.pop(offset, None)
        self._dirty.pop(offset, None)

    def clear(self) -> None:
        """Drop everything, dirty or not."""
        self._tables.clear()
        self._dirty.clear()

    async def write(self, tables: Iterable[Table]) -> None:
        """Write the dirty parts of `tables`; neighbours in the file go in one request. Raises BlockError.

        Nobody may change the tables meanwhile. They stay dirty until they are written, so that none is evicted before.
        """
        ordered = sorted(tables, key=lambda table: table.offset)
        pieces = []
        for table in ordered:
            at, data = self.codec.encode(table.entries, table.low, table.high)
            pieces.append((table.offset + at, data))
        if pieces and self.file.listens:
            await self.file.event(self.codec.update_event)
        await write_pieces(self.file, pieces)
        for table in ordered:
            table.low = table.high = 0
            self._dirty.pop(table.offset, None)


async def write_pieces(file: Node, pieces: list[tuple[int, bytes]]) -> None:
    """Write (offset, bytes) pieces, sorted by offset; adjacent ones in one vectored request."""
    index = 0
    while index < len(pieces):
        start, data = pieces[index]
        run, end = [memoryview(data)], start + len(data)
        index += 1
        while index < len(pieces) and pieces[index][0] == end and len(run) < MAX_VECTORS:
            run.append(memoryview(pieces[index][1]))
            end += len(pieces[index][1])
            index += 1
        await file.write(start, run)

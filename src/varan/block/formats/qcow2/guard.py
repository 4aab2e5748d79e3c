"""Which host clusters hold metadata, so that guest data are never written over it."""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable

from varan.block.base import BlockError, ErrorKind
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.header import Header


class Guard:
    """The set of metadata clusters. `mark` is awaited when a write would have hit one: the image contradicts itself."""

    def __init__(self, cluster_bits: int, clusters: set[int], mark: Callable[[], Awaitable[None]]) -> None:
        self._bits = cluster_bits
        self._clusters = clusters
        self.mark = mark
        self.conflict = False
        """Tables lie on one another."""

    def build(self, header: Header, l1: array[int], refcount_table: array[int]) -> None:
        """Collect what header, L1 and refcount table name."""
        bits = self._bits
        self._clusters.clear()
        self.protect(0, 1)
        self.protect(header.l1_table_offset, header.l1_size * 8)
        self.protect(header.refcount_table_offset, header.refcount_table_clusters << bits)
        tables = [(entry & q.OFFSET_MASK) >> bits for entry in l1 if entry & q.OFFSET_MASK]
        tables += [entry >> bits for entry in refcount_table if entry]
        fixed = 1 + header.geometry.clusters(header.l1_size * 8) + header.refcount_table_clusters
        self._clusters.update(tables)
        self.conflict = len(self._clusters) != fixed + len(tables)

    def _range(self, offset: int, length: int) -> range:
        return range(offset >> self._bits, (offset + length - 1 >> self._bits) + 1)

    def protect(self, offset: int, length: int) -> None:
        """These bytes of the file are metadata."""
        if length:
            self._clusters.update(self._range(offset, length))

    def release(self, offset: int, length: int) -> None:
        """They are not any more."""
        self._clusters.difference_update(self._range(offset, length))

    def overlaps(self, offset: int, length: int) -> bool:
        """Some of these bytes are metadata."""
        return not self._clusters.isdisjoint(self._range(offset, length))

    async def check(self, offset: int, length: int) -> None:
        """Raises BlockError (CORRUPT), after marking the image, when guest data are about to hit metadata."""
        if self.overlaps(offset, length):
            await self.mark()
            raise BlockError(
                ErrorKind.CORRUPT, f"guest data at {offset:#x} would overwrite metadata: the image is marked corrupt"
            )

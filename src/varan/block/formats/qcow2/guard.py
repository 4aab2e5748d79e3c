"""Which host clusters hold metadata, so that guest data are never written over it."""

from __future__ import annotations

from array import array

from varan.block.base import BlockError, ErrorKind
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.header import Header
from varan.block.formats.qcow2.tuning import Structure
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Guard:
    """The set of metadata clusters, of the kinds in `wanted`. `mark` is awaited when a write would have hit one: the
    image contradicts itself."""

    def __init__(
        self, cluster_bits: int, clusters: set[int], wanted: Structure, mark: Callable[[], Awaitable[None]]
    ) -> None:
        self._bits = cluster_bits
        self._clusters = clusters
        self.wanted = wanted
        self.mark = mark
        self.conflict = False
        """Tables lie on one another."""

    def build(self, header: Header, l1: array[int], refcount_table: array[int]) -> None:
        """Collect what header, L1 and refcount table name."""
        bits = self._bits
        self._clusters.clear()
        l1_place = self._range(header.l1_table_offset, header.l1_size * 8)
        table_place = self._range(header.refcount_table_offset, header.refcount_table_clusters << bits)
        places = (
            (Structure.MAIN_HEADER, range(1)),
            (Structure.ACTIVE_L1, l1_place if header.l1_size else range(0)),
            (Structure.REFCOUNT_TABLE, table_place if header.refcount_table_clusters else range(0)),
            (Structure.ACTIVE_L2, [(entry & q.OFFSET_MASK) >> bits for entry in l1 if entry & q.OFFSET_MASK]),
            (Structure.REFCOUNT_BLOCK, [entry >> bits for entry in refcount_table if entry]),
        )
        self.conflict = len(set().union(*(place for _, place in places))) != sum(len(place) for _, place in places)
        for kind, place in places:
            if kind & self.wanted:
                self._clusters.update(place)

    def _range(self, offset: int, length: int) -> range:
        return range(offset >> self._bits, (offset + length - 1 >> self._bits) + 1)

    def protect(self, offset: int, length: int, kind: Structure) -> None:
        """These bytes of the file are metadata of a kind."""
        if length and kind & self.wanted:
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

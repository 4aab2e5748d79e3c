"""The writing half of a copy into a compressed image: cluster by cluster, compressed in threads."""

from __future__ import annotations

from varan.block.base import Write
from varan.block.operations import zeros
from varan.block.operations.convert import Writer
from varan.block.request import write


class CompressedWriter(Writer):
    """Writes whole clusters, those of zeros not at all."""

    async def _put_data(self, start: int, length: int, buffer: bytearray) -> None:
        cluster = max(self._target.limits.zero_alignment, 512)
        view = memoryview(buffer)
        for at, size, empty in zeros.runs(buffer, length, cluster, start):
            if empty:
                await self._put_zeros(start + at, size)
            else:
                await write(self._target, start + at, [view[at : at + size]], Write.COMPRESSED)

"""Changing an image's backing file without changing what the image shows."""

from __future__ import annotations

from varan.block.base import Data, Node
from varan.block.memory import aligned
from varan.block.operations import zeros
from varan.block.operations.convert import Progress
from varan.block.operations.extents import backing, chain_extent, layers
from varan.block.request import write, zero

CHUNK = 2 << 20


class Rebase:
    """Writes into `top` whatever its old backing chain shows and the new one (None: zeros) does not."""

    def __init__(self, top: Node, new: Node | None, progress: Progress | None = None) -> None:
        self._top = top
        self._old = backing(top)
        self._new = new
        self._progress = progress
        self._shared = _shared_layer(self._old, new)
        self._grain = min(max(top.limits.zero_alignment, 512), CHUNK)
        self._buffers = (aligned(CHUNK), aligned(CHUNK))

    async def run(self) -> None:
        """Do it, up to the flush; the backing file's name is the caller's to change then. Raises BlockError."""
        end, at = self._top.length, 0
        while at < end:
            extent = await self._top.block_status(at, end - at)
            length = extent.length
            if not extent.flags & Data.ALLOCATED:
                await self._keep(at, length)
            at += length
            if self._progress is not None:
                self._progress(at, end)
        await self._top.flush()

    async def _keep(self, start: int, length: int) -> None:
        """Make the old chain's bytes stay, extent by extent."""
        at, end = start, start + length
        while at < end:
            size, old_zero, new_zero = await self._known(at, end - at)
            if not (old_zero and new_zero):
                size = min(size, CHUNK - at % self._grain)
                await self._keep_data(at, size, old_zero=old_zero, new_zero=new_zero)
            at += size

    async def _known(self, at: int, length: int) -> tuple[int, bool, bool]:
        """How many bytes from `at` on are alike, and whether the old and the new chain's metadata call them zeros.

        What both chains have from the same image counts as zeros in both: there is nothing to do.
        """
        old_zero = new_zero = True
        if self._old is not None:
            old = await chain_extent(self._old, at, length)
            old_zero, length = old.reads_zero, old.length
            if self._shared is not None and self._shared is not self._old:
                above = await chain_extent(self._old, at, length, self._shared)
                if not above.allocated and self._new is not None and at + above.length <= self._new.length:
                    if self._new_is_shared():
                        return above.length, True, True
                    length = above.length
            elif self._shared is not None and self._new_is_shared():
                return length, True, True
        if self._new is not None:
            new = await chain_extent(self._new, at, length)
            new_zero, length = new.reads_zero, new.length
        return length, old_zero, new_zero

    def _new_is_shared(self) -> bool:
        return self._shared is not None and self._new is not None and self._shared.filename == self._new.filename

    async def _keep_data(self, at: int, length: int, *, old_zero: bool, new_zero: bool) -> None:
        if old_zero:
            await self._write_zeros(at, length)
            return
        old, new = self._buffers
        await _read(self._old, at, old, length)
        if new_zero:
            for start, size, empty in zeros.runs(old, length, self._grain, at):
                if not empty:
                    await write(self._top, at + start, [memoryview(old)[start : start + size]])
            return
        await _read(self._new, at, new, length)
        if length == CHUNK and old == new:
            return
        start = 0
        while start < length:
            stop = min(start + self._grain - (at + start) % self._grain, length)
            while stop < length and old[stop : stop + self._grain] != new[stop : stop + self._grain]:
                stop = min(stop + self._grain, length)
            if old[start:stop] != new[start:stop]:
                await self._write(at + start, old, start, stop)
            start = stop

    async def _write(self, at: int, buffer: bytearray, start: int, stop: int) -> None:
        if zeros.is_zero(buffer, start, stop):
            await self._write_zeros(at, stop - start)
        else:
            await write(self._top, at, [memoryview(buffer)[start:stop]])

    async def _write_zeros(self, at: int, length: int) -> None:
        """Have the top itself say that the bytes are zeros. Zeroing what shows zeros already may change nothing, and
        the new backing file would be seen there."""
        await zero(self._top, at, length)
        end = at + length
        while at < end:
            extent = await self._top.block_status(at, min(end - at, CHUNK))
            if not extent.flags & Data.ALLOCATED:
                await write(self._top, at, [memoryview(bytes(extent.length))])
            at += extent.length


async def _read(node: Node | None, at: int, buffer: bytearray, length: int) -> None:
    """Read `length` bytes, zeros where there is no node or it has ended."""
    there = 0 if node is None else max(min(length, node.length - at), 0)
    view = memoryview(buffer)
    if node is not None and there:
        await node.read(at, [view[:there]])
    if there < length:
        view[there:length] = bytes(length - there)


def _shared_layer(old: Node | None, new: Node | None) -> Node | None:
    """The highest layer of the old chain that is an image of the new chain too."""
    if old is None or new is None:
        return None
    names = {layer.filename for layer in layers(new)}
    return next((layer for layer in layers(old) if layer.filename in names), None)

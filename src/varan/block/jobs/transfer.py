"""Copying one stretch of a disk from its chain of images to another node."""

from __future__ import annotations

from varan.block import request
from varan.block.base import BlockError, Data, Node, Write
from varan.block.request import backing_of


class TransferError(Exception):
    """A stretch could not be copied; `writing`: it could be read."""

    def __init__(self, error: BlockError, *, writing: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.writing = writing


async def transfer(
    source: Node,
    target: Node,
    offset: int,
    length: int,
    buffer: memoryview,
    flags: Write = Write.NONE,
    own: Data = Data.ZERO | Data.ALLOCATED,
) -> int:
    """Make `length` bytes from `offset` on in `target` what they are in `source`; how many went through memory.

    Known zeros are made, not copied, and not even that where the target says `own` of them: zeros that come from below
    it may be others one day. Raises TransferError.
    """
    end, copied = offset + length, 0
    while offset < end:
        try:
            extent = await request.chain_status(source, offset, end - offset)
            step = min(extent.length, end - offset)
            zero = bool(extent.flags & Data.ZERO)
            if not zero:
                step = min(step, len(buffer))
                await request.read(source, offset, [buffer[:step]])
        except BlockError as error:
            raise TransferError(error, writing=False) from error
        try:
            if zero:
                await _make_zero(target, offset, step, flags, own)
            else:
                await request.write(target, offset, [buffer[:step]], flags)
                copied += step
        except BlockError as error:
            raise TransferError(error, writing=True) from error
        offset += step
    return copied


async def transfer_units(
    source: Node, target: Node, offset: int, length: int, buffer: memoryview, unit: int, flags: Write, own: Data
) -> int:
    """`transfer` to a target that takes whole units only (compressed clusters)."""
    end = offset + length
    for at in range(offset, end, unit):
        part = buffer[: min(unit, end - at)]
        try:
            await request.read(source, at, [part])
        except BlockError as error:
            raise TransferError(error, writing=False) from error
        try:
            if request.is_zero(part):
                await _make_zero(target, at, len(part), flags, own)
            else:
                await request.write(target, at, [part], flags)
        except BlockError as error:
            raise TransferError(error, writing=True) from error
    return length


def own_zeros(target: Node, *, whole: bool) -> Data:
    """What a node says of zeros that need not be made; `whole`: all of the disk is copied to it."""
    return Data.ZERO if whole and backing_of(target) is None else Data.ZERO | Data.ALLOCATED


async def _make_zero(target: Node, offset: int, length: int, flags: Write, own: Data) -> None:
    end = offset + length
    while offset < end:
        there = await target.block_status(offset, end - offset)
        if there.flags & own != own:
            await request.zero(target, offset, there.length, flags & ~Write.COMPRESSED)
        offset += there.length

"""Copying one stretch of a disk from its chain of images to another node."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

from varan.block import request
from varan.block.base import BlockError, Data, Node, Write
from varan.block.lazy import settled
from varan.block.request import backing_of

PIECE = 1 << 20
"""Bytes that are read or written at once, where several are under way."""


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
    *,
    detect_zeroes: bool = False,
) -> int:
    """Make `length` bytes from `offset` on in `target` what they are in `source`; how many went through memory.

    Pieces of a large `buffer` are written while others are filled. Known zeros are made, not copied, and not even that
    where the target says `own` of them: zeros that come from below it may be others one day. `detect_zeroes`: zeros
    that were read are made as well. Raises TransferError.
    """
    end, copied = offset + length, 0
    pieces = _pieces(buffer, length)
    under_way: deque[asyncio.Task[None]] = deque()
    try:
        while offset < end:
            piece = pieces[0]
            pieces.rotate(-1)
            step, zero = await _fetch(source, offset, end - offset, piece)
            zero = zero or (detect_zeroes and request.is_zero(piece[:step]))
            work: Coroutine[Any, Any, None]
            if zero:
                work = _make_zero(target, offset, step, flags, own)
            else:
                work = request.write(target, offset, [piece[:step]], flags)
                copied += step
            offset += step
            if len(pieces) == 1:
                await _told_apart(work)
                continue
            under_way.append(asyncio.ensure_future(_told_apart(work)))
            while len(under_way) >= len(pieces) or (under_way and offset >= end):
                await under_way[0]
                under_way.popleft()
    finally:
        for task in under_way:
            # They read buffers that will be used again.
            await settled(task)
    return copied


def _pieces(buffer: memoryview, length: int) -> deque[memoryview]:
    if length <= PIECE or len(buffer) < 2 * PIECE:
        return deque([buffer])
    return deque(buffer[at : at + PIECE] for at in range(0, len(buffer) // PIECE * PIECE, PIECE))


async def _fetch(source: Node, offset: int, length: int, part: memoryview) -> tuple[int, bool]:
    """Fill `part` with what begins at `offset`, or find out that it is zeros: of how many bytes, and whether so."""
    try:
        extent = await request.chain_status(source, offset, length)
        step = min(extent.length, length)
        if extent.flags & Data.ZERO:
            return step, True
        step = min(step, len(part))
        await request.read(source, offset, [part[:step]])
    except BlockError as error:
        raise TransferError(error, writing=False) from error
    return step, False


async def _told_apart(work: Coroutine[Any, Any, None]) -> None:
    """Do what writes to the target. Raises TransferError."""
    try:
        await work
    except BlockError as error:
        raise TransferError(error, writing=True) from error


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

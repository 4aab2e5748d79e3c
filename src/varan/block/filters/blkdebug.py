"""The filter `blkdebug`: errors, delays and stops on request, at the points that formats tell of (`Node.event`).

`blkdebug:CONFIG:IMAGE` is IMAGE with the rules in the file CONFIG (which may be empty). Requests can be made to stop at
an event (`add_breakpoint`), looked for (`wait_suspended`) and let go (`resume`): races become steps.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from varan.block.aligned import Bounce
from varan.block.base import (
    BlockError,
    Buffers,
    ChildRole,
    Driver,
    Edge,
    ErrorKind,
    Extent,
    Limits,
    Node,
    OpenOptions,
    Permission,
    Write,
)
from varan.block.filters.passing import PassingNode
from varan.block.filters.rules import EVENTS, OPTIONS, Rules, parse_rules, read_config
from varan.block.request import size_of
from varan.block.transports.posix import advance, block_error

_ROLE = "image"
_DEFAULT_TRANSFER = 1 << 30


class BlkdebugNode(PassingNode):
    """A child with faults."""

    driver = "blkdebug"

    def __init__(self, options: OpenOptions, child: Edge, rules: Rules) -> None:
        super().__init__(options, child)
        self.listens = True
        given = options.driver_options
        self.rules = rules
        self._config = str(given.get("config", ""))
        self._largest: int = given.get("max-transfer") or _DEFAULT_TRANSFER
        self._align: int = given.get("align") or 1
        self._bounce = Bounce(self._align, self._read_aligned, self._write_aligned)
        self._breaks: list[tuple[str, str]] = []
        self._suspended: dict[str, list[asyncio.Future[None]]] = {}
        self._stopped = asyncio.Event()

    @property
    def filename(self) -> str:
        return f"blkdebug:{self._config}:{self._child.filename}"

    @property
    def limits(self) -> Limits:
        below = self._child.limits
        return Limits(self._align, min(below.optimal_transfer, self._largest), below.zero_alignment, self._largest)

    async def event(self, name: str) -> None:
        self.rules.happen(name)
        for entry in [entry for entry in self._breaks if entry[0] == name]:
            self._breaks.remove(entry)
            await self._suspend(entry[1])

    async def _suspend(self, tag: str) -> None:
        go: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._suspended.setdefault(tag, []).append(go)
        self._stopped.set()
        await go

    def add_breakpoint(self, event: str, tag: str) -> None:
        """Stop the next request that comes to `event`, under the name `tag`. Raises BlockError."""
        if event not in EVENTS:
            raise BlockError(ErrorKind.INVALID, f"blkdebug has no event '{event}'", where=self.filename)
        self._breaks.append((event, tag))

    def remove_breakpoint(self, tag: str) -> None:
        """Forget the breakpoints `tag`, and let go what they stopped. Raises BlockError (NOT_FOUND)."""
        before = len(self._breaks)
        self._breaks = [entry for entry in self._breaks if entry[1] != tag]
        if not self._release(tag) and len(self._breaks) == before:
            raise BlockError(ErrorKind.NOT_FOUND, f"there is no breakpoint '{tag}'", where=self.filename)

    def resume(self, tag: str) -> None:
        """Let the requests go that stopped at `tag`. Raises BlockError (NOT_FOUND)."""
        if not self._release(tag):
            raise BlockError(ErrorKind.NOT_FOUND, f"no request stopped at '{tag}'", where=self.filename)

    def _release(self, tag: str) -> bool:
        waiting = self._suspended.pop(tag, [])
        for go in waiting:
            if not go.done():
                go.set_result(None)
        return bool(waiting)

    @property
    def suspends(self) -> bool:
        """Whether any request is."""
        return bool(self._suspended)

    def is_suspended(self, tag: str) -> bool:
        """Whether a request stopped at `tag`."""
        return tag in self._suspended

    async def wait_suspended(self, tag: str) -> None:
        """Return when a request has stopped at `tag`."""
        while tag not in self._suspended:
            self._stopped.clear()
            await self._stopped.wait()

    async def _strike(self, kind: str, offset: int, length: int) -> None:
        for effect in self.rules.strike(kind, offset, length):
            if effect.errno:
                raise block_error(OSError(effect.errno, ""), self.filename, offset)
            await asyncio.sleep(effect.seconds)

    async def read(self, offset: int, buffers: Buffers) -> None:
        if not self._bounce.fits(offset, size_of(buffers)):
            await self._bounce.read(offset, buffers)
            return
        for start, piece in self._pieces(offset, buffers):
            await self._strike("read", start, size_of(piece))
            await self._child.read(start, piece)

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        await self.event("pwritev")
        length = size_of(buffers)
        self.note_write(offset, length)
        if not self._bounce.fits(offset, length):
            await self._bounce.write(offset, buffers)
            if flags & Write.FUA:
                await self._child.flush()
        elif self._align > 1:
            async with self._bounce.writes.hold(offset, offset + length):
                await self._write_pieces(offset, buffers, flags)
        else:
            await self._write_pieces(offset, buffers, flags)
        await self.event("pwritev_done")

    async def _write_pieces(self, offset: int, buffers: Buffers, flags: Write) -> None:
        for start, piece in self._pieces(offset, buffers):
            await self._strike("write", start, size_of(piece))
            await self._child.write(start, piece, flags)

    async def _read_aligned(self, offset: int, memory: memoryview) -> None:
        await self.read(offset, [memory])

    async def _write_aligned(self, offset: int, memory: memoryview) -> None:
        await self._write_pieces(offset, [memory], Write.NONE)

    def _pieces(self, offset: int, buffers: Buffers) -> list[tuple[int, Buffers]]:
        """The request, split at what the node takes at once."""
        if size_of(buffers) <= self._largest:
            return [(offset, buffers)]
        pieces: list[tuple[int, Buffers]] = []
        rest: Buffers = buffers
        while rest:
            first = rest[0][: self._largest]
            pieces.append((offset, [first]))
            offset += len(first)
            rest = advance(rest, len(first))
        return pieces

    async def write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        self.note_write(offset, length)
        await self.event("pwritev_zero")
        await self._strike("write-zeroes", offset, length)
        await self._child.write_zeroes(offset, length, flags)
        await self.event("pwritev_done")

    async def discard(self, offset: int, length: int) -> None:
        await self._strike("discard", offset, length)
        await self._child.discard(offset, length)

    async def flush(self) -> None:
        await self.event("flush_to_disk")
        await self._strike("flush", 0, 0)
        await self._child.flush()

    async def block_status(self, offset: int, length: int) -> Extent:
        await self._strike("block-status", offset, length)
        return await self._child.block_status(offset, length)

    async def close(self) -> None:
        for tag in list(self._suspended):
            self._release(tag)

    def child_permissions(self, role: str, wanted: Permission, shared: Permission) -> tuple[Permission, Permission]:
        given = self.options.driver_options
        return wanted | _listed(given, "take-child-perms"), shared & ~_listed(given, "unshare-child-perms")


_PERMISSIONS = {
    "consistent-read": Permission.CONSISTENT_READ,
    "write": Permission.WRITE,
    "write-unchanged": Permission.WRITE_UNCHANGED,
    "resize": Permission.RESIZE,
}


def _listed(options: dict[str, Any], name: str) -> Permission:
    found = Permission.NONE
    for key, value in options.items():
        if key.startswith(f"{name}."):
            if value not in _PERMISSIONS:
                raise BlockError(ErrorKind.INVALID, f"there is no permission '{value}'")
            found |= _PERMISSIONS[value]
    return found


class BlkdebugDriver(Driver):
    """Faults."""

    name = "blkdebug"
    is_protocol = True
    is_filter = True
    child_roles: ClassVar[tuple[ChildRole, ...]] = (ChildRole(_ROLE, probed=True),)
    open_options: ClassVar[dict[str, str]] = OPTIONS | {
        "config": "str",
        "align": "size",
        "max-transfer": "size",
        "opt-write-zero": "size",
        "max-write-zero": "size",
        "opt-discard": "size",
        "max-discard": "size",
        "take-child-perms.*": "str",
        "unshare-child-perms.*": "str",
    }

    @classmethod
    def parse_filename(cls, filename: str) -> dict[str, Any]:
        config, colon, image = filename.removeprefix("blkdebug:").partition(":")
        if not filename.startswith("blkdebug:"):
            return {f"{_ROLE}.filename": filename}
        if not colon or not image:
            raise BlockError(ErrorKind.INVALID, "the name must be 'blkdebug:CONFIG:IMAGE'", where=filename)
        parsed = {f"{_ROLE}.filename": image}
        return parsed | {"config": config} if config else parsed

    @classmethod
    async def open(cls, options: OpenOptions, children: dict[str, Edge]) -> Node:
        given = options.driver_options
        for name in ("align", "max-transfer"):
            value = given.get(name, 0)
            if value and (value & (value - 1) or value > 1 << 30):
                raise BlockError(ErrorKind.INVALID, f"option '{name}' must be a power of two up to 1 GiB")
        if given.get("max-transfer") and given["max-transfer"] < given.get("align", 1):
            raise BlockError(ErrorKind.INVALID, "option 'max-transfer' cannot be less than 'align'")
        for name in ("take-child-perms", "unshare-child-perms"):
            _listed(given, name)
        config = read_config(given["config"]) if given.get("config") else ()
        return BlkdebugNode(options, children[_ROLE], parse_rules(given, config))


DRIVER = BlkdebugDriver

"""The commands on a disk of a running machine: they run on a thread of their own, their requests on the machine's loop.

Requests go through the disk's back end, as a device's do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from varan.block import request
from varan.block.backend import BlockBackend
from varan.block.base import Buffers, Limits, Node, OpenOptions, Write
from varan.block.graph import Graph
from varan.block.resizing import resize
from varan.block.shell.session import Session
from varan.block.shell.words import CommandError

T = TypeVar("T")

PATIENCE = 0.2
"""Seconds after which a command that waits looks whether anybody still waits for it."""
PAUSE = 0.01
"""Seconds between two looks at requests that may have come to a breakpoint."""

log = logging.getLogger("varan.block")


class BackendNode(Node):
    """A back end as a node: what is asked of it is a request of its own."""

    driver = "backend"

    def __init__(self, backend: BlockBackend) -> None:
        super().__init__(OpenOptions(read_only=backend.read_only))
        self._backend = backend

    @property
    def length(self) -> int:
        return self._backend.length

    @property
    def filename(self) -> str:
        return self._backend.name

    @property
    def limits(self) -> Limits:
        node = self._backend.node
        return Limits() if node is None else node.limits

    async def read(self, offset: int, buffers: Buffers) -> None:
        await self._backend.read(offset, buffers)

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        if flags & ~Write.FUA:
            await self._backend.perform(lambda node: request.write(node, offset, buffers, flags))
        else:
            await self._backend.write(offset, buffers, stable=bool(flags & Write.FUA))

    async def write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        if flags & ~(Write.FUA | Write.MAY_UNMAP):
            await self._backend.perform(lambda node: request.zero(node, offset, length, flags))
        else:
            unmap, stable = bool(flags & Write.MAY_UNMAP), bool(flags & Write.FUA)
            await self._backend.write_zeroes(offset, length, unmap=unmap, stable=stable)

    async def discard(self, offset: int, length: int) -> None:
        await self._backend.discard(offset, length)

    async def flush(self) -> None:
        await self._backend.flush()


class HostedSession(Session):
    """One command at a disk. `run` does it; output is what it returns."""

    def __init__(self, graph: Graph, backend: BlockBackend) -> None:
        super().__init__(program="qemu-io")
        self.graph, self.node = graph, backend.node
        self._backend = backend
        self._requests = BackendNode(backend)
        self._host = asyncio.get_running_loop()
        self._lines: list[str] = []
        self._under_way: list[Future[None]] = []
        self._given_up = False

    async def run(self, line: str) -> str:
        """Do one command line; what it has to say. Raises BlockError when it may not use the disk."""
        await self._attach(line)
        try:
            await asyncio.to_thread(self._do, line)
        except asyncio.CancelledError:
            self._given_up = True
            raise
        finally:
            rest = [future for future in self._under_way if not future.done()]
            if not rest:
                await self._detach()
        if rest:
            self._later = self._host.create_task(self._detach_after(rest))
        return "".join(f"{line}\n" for line in self._lines)

    # Who uses the disk meanwhile

    async def _attach(self, line: str) -> None:
        self._attached = self._backend.user is None and self._backend.present
        if self._attached:
            words = line.split()
            command = self.commands.get(words[0]) if words else None
            write = command is not None and command.writes and not self._backend.read_only
            self._backend.attach("qemu-io", write=write, share_write=True)

    async def _detach(self) -> None:
        if self._attached:
            await self._backend.detach()

    async def _detach_after(self, rest: list[Future[None]]) -> None:
        await asyncio.gather(*map(asyncio.wrap_future, rest), return_exceptions=True)
        await self._detach()
        for line in self._lines:
            log.info("%s", line)

    # What commands ask of a session; on a thread

    def _do(self, line: str) -> None:
        self.execute(line)
        with contextlib.suppress(CommandError):
            self._ended()

    @property
    def image(self) -> Node:
        if self.node is None:
            raise CommandError("No medium found")
        return self.node

    @property
    def requests(self) -> Node:
        return self._requests

    def resize(self, length: int, preallocation: str) -> None:
        if preallocation != "off":
            raise CommandError("truncate: the disk of a machine grows without preallocation")
        assert self.graph is not None
        self.drive(resize(self.graph, self.image, length))

    @property
    def has_loop(self) -> bool:
        return True

    def drive(self, coroutine: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._host)
        while True:
            try:
                return future.result(PATIENCE)
            except TimeoutError:
                if future.done():
                    raise
                if self._given_up or self._host.is_closed():
                    future.cancel()
                    raise CommandError("nobody waits for it any more") from None

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._under_way.append(asyncio.run_coroutine_threadsafe(coroutine, self._host))

    def settle(self) -> None:
        if not self._ended():
            raise CommandError("a request is suspended at a breakpoint")

    def _ended(self) -> bool:
        """Wait until all requests are over; False when one is suspended."""
        while any(not future.done() for future in self._under_way):
            node = self.debug_node()
            if node is not None and node.suspends:
                return False
            self.drive(asyncio.sleep(PAUSE))
        return True

    def say(self, text: str) -> None:
        self._lines.append(text)

    def complain(self, text: str) -> None:
        self._lines.append(text)

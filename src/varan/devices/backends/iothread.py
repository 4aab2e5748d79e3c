"""`iothread`: a thread of its own that serves disks."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from varan.core.properties import Property
from varan.devices.backends.userobject import UserObject
from varan.devices.environment import Environment
from varan.errors import GenericError

log = logging.getLogger("varan.virtio")


def _zero(name: str, description: str) -> Property:
    """A setting of threads that poll or gather requests, which these do not."""

    def parse(given: Any) -> int:
        value = plain.convert(given)
        if value < 0:
            raise GenericError(f"{name} value must be in range [0, 9223372036854775807]")
        if value:
            raise GenericError(f"{name}={value} is not available: I/O threads sleep until there is work; give 0")
        return 0

    plain = Property(name, "int64", default=0)
    return Property(name, "int", f"{description} (0: nothing else is available)", default=0, parse=parse)


class IoThread(UserObject):
    """Sleeps until a device that names it has work, and does it in the order in which it came.

    The thread lives from `complete` to `dispose`. What it runs takes the machine lock by itself.
    """

    type_name = "iothread"
    abstract = False
    description = "a thread that takes requests from the queues of disks"
    properties = (
        _zero("poll-max-ns", "nanoseconds to look for work before it sleeps"),
        _zero("poll-grow", "factor by which that grows"),
        _zero("poll-shrink", "divisor by which that shrinks"),
        _zero("aio-max-batch", "requests to gather before the host gets them"),
    )
    _thread: threading.Thread | None = None

    @property
    def thread_id(self) -> int:
        """The host's number of the thread; 0 when it does not run."""
        return (self._thread.native_id or 0) if self._thread is not None else 0

    async def complete(self, environment: Environment) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"IO {self.name}", daemon=True)
        self._thread.start()

    def post(self, work: Callable[[], None]) -> None:
        """Have the thread do `work`. Any thread; after `dispose` nothing is done."""
        self._work.put(work)

    async def drain(self) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self.post(lambda: void(loop.call_soon_threadsafe(done.set_result, None)))
        await done

    async def dispose(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            await self.drain()
            self._work.put(None)
            thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                log.exception("iothread %s", self.name)


def void(value: object) -> None:
    """Nothing, whatever the value."""

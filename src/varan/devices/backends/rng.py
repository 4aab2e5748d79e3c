"""Sources of random bytes for guests."""

from __future__ import annotations

import asyncio
import os
from typing import ClassVar

from varan.core.properties import Property
from varan.devices.backends.userobject import UserObject
from varan.devices.environment import Environment
from varan.errors import OpenFileFailed

MOST = 1 << 16
"""Bytes that one request gives at most."""


class RngBackend(UserObject):
    """A source of random bytes."""

    type_name = "rng-backend"
    abstract: ClassVar[bool] = True

    async def read(self, count: int) -> bytes:
        """Up to `count` bytes, at least one. Raises OSError."""
        raise NotImplementedError


class RngBuiltin(RngBackend):
    """The host kernel's generator."""

    type_name = "rng-builtin"
    abstract = False
    description = "random bytes from the host's kernel"

    async def read(self, count: int) -> bytes:
        return os.urandom(min(count, MOST))


class RngRandom(RngBackend):
    """A file of the host that gives random bytes."""

    type_name = "rng-random"
    abstract = False
    description = "random bytes from a file of the host"
    properties = (Property("filename", "string", "the file", default="/dev/urandom"),)
    _fd: int | None = None

    async def complete(self, environment: Environment) -> None:
        filename = self.settings["filename"]
        try:
            self._fd = os.open(filename, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise OpenFileFailed(filename, error.strerror or "") from None

    async def dispose(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    async def read(self, count: int) -> bytes:
        while True:
            if self._fd is None:
                raise OSError("the source of random bytes has been closed")
            try:
                data = os.read(self._fd, min(count, MOST))
            except BlockingIOError:
                await _readable(self._fd)
                continue
            if not data:
                raise OSError(f"{self.settings['filename']} has ended")
            return data


async def _readable(fd: int) -> None:
    """Wait until `fd` has something to read."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)

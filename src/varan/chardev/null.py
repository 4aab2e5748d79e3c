"""The chardev that leads nowhere: output is dropped, input never comes."""

from __future__ import annotations

from collections.abc import Mapping

from varan.chardev.backend import Backend
from varan.chardev.base import Frontend
from varan.chardev.log import LogOptions
from varan.chardev.params import Params


class SinkLine:
    """A connection that takes everything and says nothing. `write` may be replaced by a subclass."""

    def start(self, frontend: Frontend) -> None:
        """There is no input."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take all of `data`."""
        return len(data)

    def close(self) -> None:
        """It stays open."""

    def pause_input(self) -> None:
        """There is no input."""

    def resume_input(self) -> None:
        """There is no input."""


class Null(Backend):
    """`null`."""

    @property
    def filename(self) -> str:
        return "null"

    async def acquire(self) -> None:
        if not self.is_connected:
            self.connected(SinkLine())

    async def release(self) -> None:
        return


def create(id: str, options: Mapping[str, str]) -> Null:
    """A null chardev. Raises ChardevError for a bad option."""
    params = Params(id, options)
    log = LogOptions.take(params)
    params.finish()
    return Null(id, log)

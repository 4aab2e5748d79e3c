"""The filter `throttle`: requests go at the rate of a throttle group."""

from __future__ import annotations

from typing import ClassVar

from varan.block.base import BlockError, Buffers, ChildRole, Driver, Edge, ErrorKind, Node, OpenOptions, Write
from varan.block.filters.passing import PassingNode
from varan.block.request import size_of
from varan.block.throttle_group import ThrottleGroup


class ThrottleNode(PassingNode):
    """A child, slower."""

    driver = "throttle"

    def __init__(self, options: OpenOptions, child: Edge, group: ThrottleGroup) -> None:
        super().__init__(options, child)
        self._member = group.join()

    async def close(self) -> None:
        self._member.leave()

    def hurry(self) -> None:
        self._member.hurry()

    def relax(self) -> None:
        self._member.relax()

    async def read(self, offset: int, buffers: Buffers) -> None:
        await self._member.admit(size_of(buffers), write=False)
        await self._child.read(offset, buffers)

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        self.note_write(offset, size_of(buffers))
        await self._member.admit(size_of(buffers), write=True)
        await self._child.write(offset, buffers, flags)

    async def write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        self.note_write(offset, length)
        await self._member.admit(length, write=True)
        await self._child.write_zeroes(offset, length, flags)

    async def discard(self, offset: int, length: int) -> None:
        await self._member.admit(length, write=True)
        await self._child.discard(offset, length)


class ThrottleDriver(Driver):
    """Rate limits."""

    name = "throttle"
    is_filter = True
    child_roles: ClassVar[tuple[ChildRole, ...]] = (ChildRole("file", probed=True),)
    open_options: ClassVar[dict[str, str]] = {"throttle-group": "str"}

    @classmethod
    async def open(cls, options: OpenOptions, children: dict[str, Edge]) -> Node:
        name = options.driver_options.get("throttle-group")
        if name is None or options.throttle_group is None:
            raise BlockError(ErrorKind.INVALID, "block driver 'throttle' needs option 'throttle-group'")
        return ThrottleNode(options, children["file"], options.throttle_group(name))


DRIVER = ThrottleDriver

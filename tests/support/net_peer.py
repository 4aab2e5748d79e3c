"""The guest's end of a network back end, for tests: keeps frames, and has room when the test says so."""

from __future__ import annotations

import asyncio

from varan.net.adapter import Adapter
from varan.net.base import Netdev

MAC = bytes.fromhex("525400123456")


class FramePeer(Adapter):
    """An adapter without a guest."""

    def __init__(self, netdev: Netdev, name: str = "nic0", mac: bytes = MAC) -> None:
        super().__init__(name, "test", mac)
        self.frames: list[bytes] = []
        self.room = True
        self.link_changes: list[bool] = []
        self._came = asyncio.Event()
        self.connect(netdev)

    def receive(self, frame: bytes) -> bool:
        if not self.room:
            return False
        self.frames.append(frame)
        self._came.set()
        return True

    def link_changed(self) -> None:
        self.link_changes.append(self.link_up)

    async def until(self, count: int) -> list[bytes]:
        """The frames, once there are `count`."""
        async with asyncio.timeout(10):
            while len(self.frames) < count:
                self._came.clear()
                await self._came.wait()
        return self.frames


def frame(number: int, length: int = 60) -> bytes:
    """A frame that can be told from others."""
    return (b"\xff" * 6 + MAC + b"\x88\xb5" + number.to_bytes(4, "big")).ljust(length, b"\xa5")


async def exchanged(sender: FramePeer, receiver: FramePeer) -> None:
    """Wait until a frame goes through (a connection takes a moment), then forget it."""
    async with asyncio.timeout(10):
        while not receiver.frames:
            sender.send(frame(0xFFFF))
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
    receiver.frames.clear()

"""The other end of a socket, for tests that run on the loop."""

from __future__ import annotations

import asyncio
import socket


class Peer:
    """The other end, by plain socket calls on the loop."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.sock, data)

    async def read(self, size: int) -> bytes:
        """Exactly `size` bytes, or what comes before the end."""
        data = b""
        async with asyncio.timeout(10):
            while len(data) < size and (part := await self.loop.sock_recv(self.sock, size - len(data))):
                data += part
        return data

    async def at_end(self) -> bool:
        async with asyncio.timeout(10):
            return await self.loop.sock_recv(self.sock, 1) == b""

    def close(self) -> None:
        self.sock.close()

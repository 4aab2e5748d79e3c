import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from tests.support.recording_frontend import RecordingFrontend
from tests.support.socket_peer import Peer

from varan.chardev import registry
from varan.chardev.base import Chardev

Make = Callable[..., Chardev]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makes chardevs (id "c") that are closed after the test: `make("socket", path=..., server="on")`."""
    made: list[Chardev] = []

    def make(kind: str, **options: str) -> Chardev:
        chardev = registry.create(kind, "c", {key.replace("_", "-"): value for key, value in options.items()})
        made.append(chardev)
        return chardev

    yield make
    for chardev in made:
        await chardev.close()


@pytest.fixture
def connect():
    """Connects to an address: a path, a name that starts with NUL, or (host, port). The ends are closed afterwards."""
    made: list[socket.socket] = []

    async def connect(address: str | bytes | tuple[str, int]) -> Peer:
        family = socket.AF_UNIX
        if isinstance(address, tuple):
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family)
        made.append(sock)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
        return Peer(sock)

    yield connect
    for sock in made:
        sock.close()


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "vm.sock")


@pytest.fixture
def recorder():
    return RecordingFrontend()

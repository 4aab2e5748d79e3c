"""Listening sockets: addresses, several clients, stale files, hostile bytes."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest
from tests.support.qmp_service import GREETING, NEGOTIATE, STATUS, FakeMachine

import varan
from varan.api.events import Stop
from varan.qmp.address import AddressError, TcpAddress, UnixAddress, parse_address
from varan.qmp.server import serve


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("unix:vm.sock", UnixAddress("vm.sock")),
        ("/tmp/vm.sock", UnixAddress("/tmp/vm.sock")),
        ("tcp:localhost:4444", TcpAddress("localhost", 4444)),
        ("tcp::4444", TcpAddress("localhost", 4444)),
        ("tcp:[::1]:4444", TcpAddress("::1", 4444)),
    ],
)
def test_address(text: str, parsed: UnixAddress | TcpAddress) -> None:
    assert parse_address(text) == parsed
    assert parse_address(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["", "unix:", "tcp:", "tcp:host", "tcp:host:x", "tcp:host:65536", "tcp:host:-1"])
def test_address_that_is_none(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text)


class Raw:
    """A client that sees the bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, path: Path, negotiate: bool = True) -> Raw:
        client = cls(*await asyncio.open_unix_connection(path))
        assert await client.line() == GREETING
        if negotiate:
            client.writer.write(NEGOTIATE)
            assert await client.line() == b'{"return": {}}\r\n'
        return client

    async def line(self) -> bytes:
        return await asyncio.wait_for(self.reader.readline(), 10)

    async def ask(self, data: bytes) -> bytes:
        self.writer.write(data)
        return await self.line()


QUERY = b'{"execute": "query-status"}'


async def test_unix_socket_serves_several_clients_at_once(tmp_path: Path) -> None:
    machine = FakeMachine()
    path = tmp_path / "vm.sock"
    async with await serve(f"unix:{path}", machine.service()) as server:
        first, second = await Raw.connect(path), await Raw.connect(path)
        shy = await Raw.connect(path, negotiate=False)
        assert server.connections == 3
        first.writer.write(b'{"execute": "memsave", "arguments": {"val": 0, "size": 1, "filename": "x"}}' + QUERY)
        assert await second.ask(QUERY) == STATUS
        machine.events.emit(Stop())
        assert b"STOP" in await first.line()
        assert b"STOP" in await second.line()
        assert b"Expecting" in await shy.ask(QUERY)
        machine.release.set()
        assert await first.line() == b'{"return": {}}\r\n'
        assert await first.line() == STATUS
        first.writer.close()
        await first.writer.wait_closed()
        assert await second.ask(QUERY) == STATUS
    assert await second.reader.read() == b""
    assert not path.exists()
    assert machine.events.subscribers == []


async def test_tcp_socket_on_any_port() -> None:
    async with await serve("tcp:127.0.0.1:0", FakeMachine().service()) as server:
        client = await varan.connect(str(server.address))
        assert (await client.query_status()).running
        await client.close()


async def test_tcp_socket_for_others_is_refused_unless_asked_for() -> None:
    with pytest.raises(AddressError, match="whoever reaches it"):
        await serve("tcp:0.0.0.0:0", FakeMachine().service())
    async with await serve("tcp:0.0.0.0:0", FakeMachine().service(), allow_remote=True) as server:
        assert isinstance(server.address, TcpAddress)


async def test_pretty_server(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    async with await serve(path, FakeMachine().service(), pretty=True):
        reader, _ = await asyncio.open_unix_connection(path)
        assert await reader.readline() == b"{\n"
        async with varan.connect(path) as client:
            assert (await client.query_status()).running


async def test_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    async with await serve(path, FakeMachine().service()):
        await Raw.connect(path)
    assert not path.exists()


async def test_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    async with await serve(path, FakeMachine().service()):
        with pytest.raises(AddressError, match="in use"):
            await serve(path, FakeMachine().service())
        await Raw.connect(path)


async def test_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(AddressError, match="not a socket"):
        await serve(path, FakeMachine().service())
    assert path.read_text() == "data"


async def test_socket_file_of_another_is_not_removed_on_close(tmp_path: Path) -> None:
    path = tmp_path / "vm.sock"
    server = await serve(path, FakeMachine().service())
    os.unlink(path)
    path.write_text("another's")
    await server.close()
    assert path.exists()


@pytest.mark.parametrize("path", ["/nonexistent/vm.sock", "x" * 200])
async def test_socket_that_cannot_be_made(path: str) -> None:
    with pytest.raises(AddressError):
        await serve(f"unix:{path}", FakeMachine().service())


@pytest.mark.parametrize(
    "piece",
    [b"[" * 65536, b"\x00" * 65536, b'{"execute": "' + b"x" * 65000, b"{]" * 1000, b"\xff" * 1000],
    ids=["nesting", "nul", "string", "mismatched", "flushes"],
)
async def test_client_that_sends_garbage_can_go_on(tmp_path: Path, piece: bytes) -> None:
    path = tmp_path / "vm.sock"
    async with await serve(path, FakeMachine().service()):
        client = await Raw.connect(path)
        for _ in range(20):
            client.writer.write(piece)
        client.writer.write(b'\xff\n{"execute": "query-status", "id": "alive"}\n')
        errors = 0
        while b'"id": "alive"' not in (line := await client.line()):
            assert b'"error"' in line
            errors += 1
        assert errors >= 1
        other = await Raw.connect(path)
        assert await other.ask(QUERY) == STATUS


async def test_client_that_does_not_read_gets_its_replies_later(tmp_path: Path) -> None:
    machine = FakeMachine()
    executed = 0

    async def ringbuf_read(device: str, size: int) -> str:
        nonlocal executed
        executed += 1
        return "x" * size

    machine.handlers["ringbuf-read"] = ringbuf_read
    path = tmp_path / "vm.sock"
    async with await serve(path, machine.service()):
        client = await Raw.connect(path)
        client.writer.write(b'{"execute": "ringbuf-read", "arguments": {"device": "r", "size": 1000000}}\n' * 50)
        other = await Raw.connect(path)
        for _ in range(20):
            assert await other.ask(QUERY) == STATUS
        assert executed < 10
        for _ in range(50):
            header = await asyncio.wait_for(client.reader.readexactly(1000000 + len(b'{"return": ""}\r\n')), 10)
            assert header.startswith(b'{"return": "x')
        assert executed == 50

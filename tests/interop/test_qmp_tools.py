"""QMP with the software of others: `qemu.qmp` on our server, our client on QEMU, and the same bytes to both servers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.need import need_tool
from tests.support.qmp_service import FakeMachine

import varan
from varan.errors import CommandNotFound, GenericError
from varan.qmp import blocking
from varan.qmp.server import serve

pytestmark = pytest.mark.interop

STARTUP = 20.0


@pytest.fixture
def qemu(tmp_path: Path) -> Iterator[Path]:
    """The QMP socket of a real QEMU without a machine."""
    program = need_tool("qemu-system-x86_64", package="qemu-system-x86")
    path = tmp_path / "qemu.sock"
    options = ["-M", "none", "-nodefaults", "-display", "none", "-qmp", f"unix:{path},server=on,wait=off"]
    child = subprocess.Popen([program, *options])
    try:
        deadline = time.monotonic() + STARTUP
        while not path.exists():
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        yield path
    finally:
        child.kill()
        child.wait()


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "varan.sock"
    async with await serve(path, FakeMachine().service()):
        yield path


async def test_our_client_on_qemu(qemu: Path) -> None:
    async with varan.connect(qemu) as qmp:
        assert qmp.greeting["version"]["qemu"]["major"] >= 7
        assert (await qmp.query_status()).running is True
        await qmp.stop()
        event = await qmp.wait_event("STOP", 10)
        assert event.typed() is not None
        assert (await qmp.query_status()).running is False
        names = await asyncio.gather(*(qmp.execute("query-name") for _ in range(20)))
        assert names == [{}] * 20
        assert len(await qmp.query_qmp_schema()) > 500
        with pytest.raises(CommandNotFound):
            await qmp.execute("no-such-command")
        with pytest.raises(GenericError, match="Parameter 'val' is missing"):
            await qmp.execute("pmemsave")
        await qmp.quit()
        shutdown = await qmp.wait_event("SHUTDOWN", 10)
        assert shutdown.data["reason"] == "host-qmp-quit"


async def test_our_client_on_qemu_with_oob(qemu: Path) -> None:
    async with varan.connect(qemu, oob=True) as qmp:
        with pytest.raises(GenericError, match="does not support OOB"):
            await qmp.execute("query-status", oob=True)


def test_our_blocking_client_and_catalogue_on_qemu(qemu: Path) -> None:
    from varan.qmp.shell import fetch_catalogue

    with blocking.connect(qemu) as qmp:
        catalogue = fetch_catalogue(qmp)
        assert "blockdev-add" in catalogue.commands
        assert [argument.name for argument in catalogue.arguments("pmemsave")] == ["val", "size", "filename"]
        for name in catalogue.commands:
            assert (catalogue.help(name) or "").startswith(name)
        assert "running" in qmp.execute("human-monitor-command", {"command-line": "info status"})


async def test_qemu_qmp_client_on_our_server(ours: Path) -> None:
    from qemu.qmp import ExecuteError, QMPClient

    qmp = QMPClient("test")
    await qmp.connect(str(ours))
    try:
        assert await qmp.execute("query-status") == {"running": True, "singlestep": False, "status": "running"}
        with qmp.listener(("STOP", "RESUME")) as listener:
            await qmp.execute("stop")
            assert (await asyncio.wait_for(listener.get(), 10))["event"] == "STOP"
            await qmp.execute("cont")
            assert (await asyncio.wait_for(listener.get(), 10))["event"] == "RESUME"
        with pytest.raises(ExecuteError, match="Device 'ram' not found") as caught:
            await qmp.execute("pmemsave", {"val": 0, "size": 1, "filename": "x"})
        assert caught.value.error_class == "DeviceNotFound"
        replies = await asyncio.gather(*(qmp.execute("query-name") for _ in range(20)))
        assert replies == [{"name": "small"}] * 20
    finally:
        await qmp.disconnect()


NEGOTIATED = [
    b'{"execute":"query-status","id":"\xc3\xa9"}',
    b'{"execute":"query-status","id":{"a":[1,null]}}',
    b"{'execute':'query-status','id':'it\\'s'}",
    b'{"execute":"query-status"}{"execute":"stop","id":2}{"execute":"cont","id":3}',
    b'{"execute":\n"query-status"\n,"id":\n[1,\n2]}',
    b'{"execute":"foo"}',
    b'{"execute":"qmp_capabilities"}',
    b'{"execute":1,"id":3}',
    b'{"arguments":{},"id":5}',
    b'{"execute":"stop","exec-oob":"stop"}',
    b'{"exec-oob":"stop"}',
    b'{"execute":"stop","arguments":[]}',
    b'{"execute":"stop","arguments":null}',
    b'{"execute":"stop","bogus":1}',
    b'{"execute":"stop","arguments":{"x":1}}',
    b'{"execute":"pmemsave"}',
    b'{"execute":"pmemsave","arguments":{"val":"1","size":1,"filename":"x","z":1}}',
    b'{"execute":"pmemsave","arguments":{"val":1.5,"size":1,"filename":"x"}}',
    b'{"execute":"pmemsave","arguments":{"val":1,"size":9999999999999999999,"filename":"x"}}',
    b'{"execute":"memsave","arguments":{"val":1,"size":1,"filename":"x","cpu-index":null}}',
    b'{"execute":"memsave","arguments":{"val":1,"size":1,"filename":"x","bogus":true}}',
    b"123 ",
    b'"text"',
    b"null ",
    b"[]",
    b"{}",
    b'{"execute":"stop","execute":"cont"}',
]
"""Requests to which both servers must say the same."""

BROKEN = [
    b"{]\n",
    b"{\xff",
    b"{\x01\n",
    b"{'bad \xff",
    b"{'bad \x01\n",
    b"\xff",
    b"nonsense\n",
    b"[" * 1025 + b"\xff\n",
]
"""Bytes after which both must say that it was no JSON, and answer the next command."""

ALIVE = b'{"execute":"no-such-command","id":"alive"}\n'


async def exchange(path: Path, data: bytes, negotiate: bool = True) -> list[dict[str, Any]]:
    """What a server says to `data`, but for the greeting and events."""
    reader, writer = await asyncio.open_unix_connection(path)
    if negotiate:
        data = b'{"execute":"qmp_capabilities"}' + data
    writer.write(data + b"\n" + ALIVE)
    said = []
    while True:
        message = json.loads(await asyncio.wait_for(reader.readline(), 10))
        if message.get("id") == "alive":
            break
        if "QMP" not in message and "event" not in message:
            message.pop("return", None)
            said.append(message)
    writer.close()
    await writer.wait_closed()
    return said


async def test_both_servers_say_the_same(qemu: Path, ours: Path) -> None:
    for data in NEGOTIATED:
        assert await exchange(ours, data) == await exchange(qemu, data), data


async def test_both_servers_refuse_commands_before_negotiation(qemu: Path, ours: Path) -> None:
    for data in (b'{"execute":"query-status","id":1}', b'{"execute":"bogus"}', b'{"exec-oob":"stop"}', b"[]"):
        assert await exchange(ours, data, False) == await exchange(qemu, data, False), data


async def test_both_servers_recover_from_broken_json(qemu: Path, ours: Path) -> None:
    for data in BROKEN:
        for path in (ours, qemu):
            said = await exchange(path, data)
            assert all(reply["error"]["class"] == "GenericError" for reply in said[1:]), (path, data)
            assert len(said) > 1
        assert len(await exchange(ours, data)) == 2, data

"""The clients, asyncio and blocking, against our server and against servers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.qmp_service import GREETING, FakeMachine

import varan
from varan.api.commands import COMMANDS
from varan.api.events import Stop
from varan.api.values import RunState
from varan.errors import CommandNotFound, DeviceNotFound, GenericError, VaranError
from varan.qmp import blocking
from varan.qmp.address import AddressError
from varan.qmp.peer import EVENT_LIMIT, ErrorBody, QmpConnectionError, error_from
from varan.qmp.server import Server, serve


@pytest.fixture
async def machine() -> FakeMachine:
    return FakeMachine()


@pytest.fixture
async def server(machine: FakeMachine, tmp_path: Path) -> AsyncIterator[Server]:
    async with await serve(tmp_path / "vm.sock", machine.service()) as listening:
        yield listening


async def test_client_typed_method(server: Server) -> None:
    async with varan.connect(str(server.address)) as qmp:
        status = await qmp.query_status()
        assert (status.running, status.status) == (True, RunState.RUNNING)
        assert await qmp.stop() is None
        assert (await qmp.query_commands())[0].name == "qmp_capabilities"
        assert len(await qmp.query_qmp_schema()) > 20


async def test_client_awaited_without_a_block(server: Server) -> None:
    qmp = await varan.connect(str(server.address))
    assert qmp.greeting["version"]["package"] == "varan-test"
    await qmp.close()
    with pytest.raises(QmpConnectionError):
        await qmp.query_status()


async def test_client_execute_by_name(server: Server) -> None:
    async with varan.connect(str(server.address)) as qmp:
        assert await qmp.execute("query-name") == {"name": "small"}
        assert await qmp.execute("human-monitor-command", {"command-line": "info"}) == "info"


async def test_client_errors_have_their_class(server: Server) -> None:
    async with varan.connect(str(server.address)) as qmp:
        with pytest.raises(CommandNotFound, match="The command bogus has not been found"):
            await qmp.execute("bogus")
        with pytest.raises(DeviceNotFound, match="Device 'ram' not found"):
            await qmp.pmemsave(val=0, size=1, filename="x")
        with pytest.raises(GenericError, match="Parameter 'val' is missing"):
            await qmp.execute("pmemsave", {})


def test_client_error_of_an_old_server_has_its_data() -> None:
    error = error_from(ErrorBody(kind="DeviceNotFound", desc="no ide0", data={"device": "ide0"}))
    assert isinstance(error, DeviceNotFound)
    assert (str(error), error.data) == ("no ide0", {"device": "ide0"})


@pytest.mark.parametrize("kind", ["NoSuchClass", "QmpError2", "LASTING_CLASSES", "VaranError", "Any"])
def test_client_error_of_an_unknown_class_is_generic(kind: str) -> None:
    assert type(error_from(ErrorBody(kind=kind, desc="text"))) is GenericError


async def test_client_calls_overlap_and_keep_their_order(machine: FakeMachine, server: Server) -> None:
    async with varan.connect(str(server.address)) as qmp:
        slow = asyncio.ensure_future(qmp.memsave(val=0, size=1, filename="x"))
        quick = [
            asyncio.ensure_future(qmp.execute("human-monitor-command", {"command-line": str(i)})) for i in range(30)
        ]
        await asyncio.sleep(0.01)
        assert not any(call.done() for call in quick)
        machine.release.set()
        await slow
        assert await asyncio.gather(*quick) == [str(i) for i in range(30)]


async def test_client_call_that_is_given_up_does_not_disturb_the_next(machine: FakeMachine, server: Server) -> None:
    async with varan.connect(str(server.address)) as qmp:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await qmp.memsave(val=0, size=1, filename="x")
        machine.release.set()
        assert (await qmp.query_status()).running


async def test_client_events_in_order(machine: FakeMachine, server: Server) -> None:
    async with varan.connect(str(server.address)) as qmp:
        await qmp.stop()
        await qmp.cont()
        seen = []
        async for event in qmp.events():
            seen.append(event.name)
            if event.name == "RESUME":
                break
        assert seen == ["STOP", "RESUME"]
        await qmp.stop()
        event = await qmp.wait_event("STOP", 5)
        assert (event.seconds, event.microseconds, event.typed()) == (1700000000, 250, Stop())


async def test_client_waiting_for_one_event_keeps_the_others(machine: FakeMachine, server: Server) -> None:
    async with varan.connect(str(server.address)) as qmp:
        await qmp.stop()
        await qmp.cont()
        assert (await qmp.wait_event("RESUME", 5)).name == "RESUME"
        assert (await qmp.wait_event("STOP", 5)).name == "STOP"
        with pytest.raises(TimeoutError):
            await qmp.wait_event("STOP", 0.01)


async def test_client_keeps_the_newest_events(machine: FakeMachine, server: Server) -> None:
    async with varan.connect(str(server.address)) as qmp:
        for _ in range(EVENT_LIMIT + 5):
            machine.events.emit(Stop())
        await qmp.query_status()
        assert qmp.events_dropped == 5


async def test_client_events_end_with_the_connection(server: Server) -> None:
    qmp = await varan.connect(str(server.address))
    await qmp.stop()
    await qmp.query_status()
    await server.close()
    assert [event.name async for event in qmp.events()] == ["STOP"]
    with pytest.raises(QmpConnectionError):
        await qmp.wait_event("STOP", 5)


async def test_client_call_ends_when_the_server_goes(server: Server) -> None:
    qmp = await varan.connect(str(server.address))
    call = asyncio.ensure_future(qmp.memsave(val=0, size=1, filename="x"))
    await asyncio.sleep(0.01)
    await server.close()
    with pytest.raises(ConnectionError, match="the connection has ended"):
        await call


async def test_client_with_oob(server: Server) -> None:
    async with varan.connect(str(server.address), oob=True) as qmp:
        with pytest.raises(GenericError, match="does not support OOB"):
            await qmp.execute("stop", oob=True)


@pytest.mark.parametrize("connect", [varan.connect, blocking.connect])
async def test_client_connection_refused(connect: object, tmp_path: Path) -> None:
    for address in (f"unix:{tmp_path}/none", "tcp:127.0.0.1:1"):
        with pytest.raises(QmpConnectionError, match="cannot connect to"):
            if connect is varan.connect:
                await varan.connect(address)
            else:
                blocking.connect(address)


async def test_client_bad_address() -> None:
    with pytest.raises(AddressError):
        await varan.connect("tcp:nowhere")
    assert issubclass(QmpConnectionError, VaranError)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak QMP"),
        (b"", "the connection has ended"),
        (b'{"QMP": {"capabilities": []}}\r\n', "the connection has ended"),
    ],
)
async def test_client_of_something_else(said: bytes, text: str, tmp_path: Path) -> None:
    async def serve_something(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with await asyncio.start_unix_server(serve_something, tmp_path / "s"):
        with pytest.raises(QmpConnectionError, match=text):
            await varan.connect(tmp_path / "s", timeout=5)
        with pytest.raises(QmpConnectionError, match=text):
            await asyncio.to_thread(blocking.connect, tmp_path / "s", timeout=5)


async def test_client_of_a_server_that_says_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        with pytest.raises(QmpConnectionError, match="no answer within"):
            await varan.connect(tmp_path / "s", timeout=0.05)
        with pytest.raises(QmpConnectionError, match="no answer within"):
            blocking.connect(tmp_path / "s", timeout=0.05)


def test_client_request_that_the_server_could_not_read_fails(tmp_path: Path) -> None:
    """An error without id belongs to the oldest call."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(GREETING)
                connection.recv(4096)
                connection.sendall(b'{"return": {}, "id": 1}\r\n')
                connection.recv(4096)
                connection.sendall(b'{"error": {"class": "GenericError", "desc": "unreadable"}}\r\n')

        thread = threading.Thread(target=answer)
        thread.start()

        async def call() -> None:
            async with varan.connect(tmp_path / "s") as qmp:
                with pytest.raises(GenericError, match="unreadable"):
                    await qmp.query_status()

        asyncio.run(call())
        thread.join()


async def test_blocking_client(machine: FakeMachine, server: Server) -> None:
    def use(address: str) -> None:
        with blocking.connect(address) as qmp:
            assert qmp.execute("query-name") == {"name": "small"}
            assert qmp.execute_raw("query-name") == b'{"name": "small"}'
            qmp.execute("stop")
            assert qmp.wait_event("STOP", 5).name == "STOP"
            qmp.execute("stop")
            assert [event.name for event in qmp.pending_events()] == ["STOP"]
            assert qmp.pending_events() == []
            with pytest.raises(TimeoutError):
                qmp.wait_event("STOP", 0.01)
            with pytest.raises(DeviceNotFound):
                qmp.execute("pmemsave", {"val": 0, "size": 1, "filename": "x"})
            assert qmp.execute("query-status")["running"] is True

    await asyncio.to_thread(use, str(server.address))


def test_every_command_has_a_client_method() -> None:
    for command in COMMANDS.values():
        assert callable(getattr(varan.qmp.client.Client, command.function))

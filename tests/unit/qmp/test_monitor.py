"""Monitors on a pipe that the test holds: back-pressure, order of events, slow and vanishing clients."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.support.qmp_service import GREETING, NEGOTIATE, STATUS, FakeMachine

from varan.api.commands import COMMANDS, CommandInfo
from varan.api.events import Resume, Stop
from varan.qmp import dispatch
from varan.qmp.monitor import BURST, EVENT_BACKLOG, Monitor
from varan.qmp.session import QUEUE_LIMIT


class FakePipe:
    """Takes up to `room` bytes."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.sent = bytearray()
        self.reading = True
        self.open = True

    def write(self, data: bytes) -> int:
        taken = min(self.room, len(data))
        self.room -= taken
        self.sent += data[:taken]
        return taken

    def close(self) -> None:
        self.open = False

    def pause_input(self) -> None:
        assert self.reading
        self.reading = False

    def resume_input(self) -> None:
        assert not self.reading
        self.reading = True

    def take(self) -> bytes:
        sent = bytes(self.sent)
        self.sent.clear()
        return sent


def opened(machine: FakeMachine, pipe: FakePipe | None = None) -> tuple[Monitor, FakePipe]:
    """A monitor with a negotiated client."""
    pipe = pipe or FakePipe()
    monitor = machine.service().monitor()
    monitor.opened(pipe)
    monitor.receive(NEGOTIATE)
    pipe.take()
    return monitor, pipe


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


MEMSAVE = b'{"execute": "memsave", "arguments": {"val": 0, "size": 1, "filename": "x"}, "id": "slow"}'
QUERY = b'{"execute": "query-status"}'


def test_monitor_greets_and_answers() -> None:
    pipe = FakePipe()
    monitor = FakeMachine().service().monitor()
    monitor.opened(pipe)
    assert pipe.take() == GREETING
    monitor.receive(NEGOTIATE)
    assert pipe.take() == b'{"return": {}}\r\n'
    for byte in QUERY:
        monitor.receive(bytes([byte]))
    assert pipe.take() == STATUS


def test_monitor_tells_events_before_the_reply_of_their_command() -> None:
    machine = FakeMachine()
    monitor, pipe = opened(machine)
    monitor.receive(b'{"execute": "stop", "id": 1}')
    event, reply = pipe.take().splitlines()
    assert msgspec.json.decode(event) == {
        "timestamp": {"seconds": 1700000000, "microseconds": 250},
        "event": "STOP",
    }
    assert reply == b'{"return": {}, "id": 1}'


async def test_monitor_command_that_waits_holds_up_those_behind_it() -> None:
    machine = FakeMachine()
    monitor, pipe = opened(machine)
    monitor.receive(MEMSAVE + QUERY)
    await settle()
    assert pipe.take() == b""
    machine.events.emit(Resume())
    assert b"RESUME" in pipe.take()
    machine.release.set()
    await settle()
    assert pipe.take() == b'{"return": {}, "id": "slow"}\r\n' + STATUS


async def test_monitor_pauses_input_while_its_queue_is_full() -> None:
    machine = FakeMachine()
    monitor, pipe = opened(machine)
    monitor.receive(MEMSAVE + QUERY * (QUEUE_LIMIT - 1))
    assert pipe.reading
    monitor.receive(QUERY * 3)
    assert not pipe.reading
    machine.release.set()
    await settle()
    assert pipe.reading
    assert pipe.take().count(b"running") == 2 * (QUEUE_LIMIT + 2)


async def test_monitor_oob_command_overtakes(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine()
    yank = CommandInfo("query-name", "query_name", returns=COMMANDS["query-name"].returns, allow_oob=True)
    service = machine.service()
    service.dispatcher = dispatch.Dispatcher(machine.handlers, commands={**COMMANDS, "query-name": yank})
    monitor, pipe = service.monitor(), FakePipe()
    monitor.opened(pipe)
    monitor.receive(b'{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}')
    pipe.take()
    monitor.receive(MEMSAVE + QUERY + b'{"exec-oob": "query-name", "id": "now"}')
    assert pipe.take() == b'{"return": {"name": "small"}, "id": "now"}\r\n'
    machine.release.set()
    await settle()
    assert pipe.take() == b'{"return": {}, "id": "slow"}\r\n' + STATUS


def test_monitor_of_a_client_that_does_not_read_executes_no_more() -> None:
    machine = FakeMachine()
    monitor, pipe = opened(machine)
    pipe.room = 10
    monitor.receive(QUERY * 20)
    assert not pipe.reading
    assert pipe.take() == STATUS[:10]
    pipe.room = 1 << 20
    monitor.writable()
    assert pipe.reading
    assert pipe.take() == STATUS[10:] + STATUS * 19


def test_monitor_disconnects_a_client_that_lets_events_pile_up() -> None:
    machine = FakeMachine()
    monitor, pipe = opened(machine)
    other_monitor, other = opened(machine)
    pipe.room = 0
    for _ in range(EVENT_BACKLOG // 60 + 10):
        machine.events.emit(Stop())
        other.take()
    assert not pipe.open
    assert other.open
    assert len(machine.events.subscribers) == 1
    monitor.receive(QUERY)
    assert pipe.take() == b""
    other_monitor.closed()
    assert machine.events.subscribers == []


async def test_monitor_gives_others_their_turn_in_a_long_burst() -> None:
    monitor, pipe = opened(FakeMachine())
    monitor.receive(QUERY * (BURST + 10))
    assert pipe.take() == STATUS * BURST
    assert not pipe.reading
    await settle()
    assert pipe.take() == STATUS * 10
    assert pipe.reading


async def test_monitor_client_that_vanishes_does_not_end_its_command() -> None:
    machine = FakeMachine()
    finished = asyncio.Event()

    async def memsave(**_: object) -> None:
        await machine.release.wait()
        finished.set()

    machine.handlers["memsave"] = memsave
    monitor, pipe = opened(machine)
    monitor.receive(MEMSAVE)
    monitor.closed()
    again = FakePipe()
    monitor.opened(again)
    machine.release.set()
    await settle()
    assert finished.is_set()
    assert pipe.take() == b""
    assert again.take() == GREETING


def test_monitor_second_client_begins_a_new_session() -> None:
    monitor, _ = opened(FakeMachine())
    monitor.receive(b'{"execute": "query-')
    monitor.closed()
    pipe = FakePipe()
    monitor.opened(pipe)
    monitor.receive(QUERY)
    assert b"Expecting capabilities negotiation" in pipe.take()


async def test_monitor_cancelled_command_is_answered() -> None:
    monitor, pipe = opened(FakeMachine())
    monitor.receive(MEMSAVE)
    await settle()
    monitor.cancel()
    await settle()
    assert b"Command memsave was cancelled" in pipe.take()


def test_monitor_handler_that_ends_the_connection() -> None:
    machine = FakeMachine()
    monitor = None

    async def stop() -> None:
        assert monitor is not None
        monitor.closed()

    machine.handlers["stop"] = stop
    monitor, pipe = opened(machine)
    monitor.receive(b'{"execute": "stop"}' + QUERY)
    assert pipe.take() == b""

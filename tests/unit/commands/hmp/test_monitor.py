from __future__ import annotations

import asyncio

import pytest
from tests.support.fake_machine import FakeMachine

from varan.commands.hmp.monitor import PROMPT, MonitorFrontend
from varan.version import VERSION

BANNER = f"Varan {VERSION} monitor - type 'help' for more information\r\n{PROMPT}"


class FakePipe:
    """A pipe that takes `room` bytes until `drain` (None: any number)."""

    def __init__(self, room: int | None = None) -> None:
        self.output = b""
        self.room = room
        self.held = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        count = len(data) if self.room is None else min(self.room, len(data))
        if self.room is not None:
            self.room -= count
        self.output += bytes(data[:count])
        return count

    def close(self) -> None:
        return

    def pause_input(self) -> None:
        self.held = True

    def resume_input(self) -> None:
        self.held = False

    def text(self) -> str:
        """What has been shown since the last call."""
        shown, self.output = self.output.decode(), b""
        return shown


@pytest.fixture
def monitor(machine: FakeMachine) -> MonitorFrontend:
    return MonitorFrontend(machine)  # type: ignore[arg-type]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_connection_is_greeted(monitor: MonitorFrontend) -> None:
    pipe = FakePipe()
    monitor.opened(pipe)
    assert pipe.text() == BANNER


async def test_a_command_is_echoed_answered_and_followed_by_the_prompt(monitor: MonitorFrontend) -> None:
    pipe = FakePipe()
    monitor.opened(pipe)
    pipe.text()
    monitor.receive(b"info name\n")
    await settle()
    assert pipe.text() == f"info name\r\nlizard\r\n{PROMPT}"


async def test_commands_sent_at_once_are_answered_in_order(monitor: MonitorFrontend) -> None:
    pipe = FakePipe()
    monitor.opened(pipe)
    pipe.text()
    monitor.receive(b"cpu 1\np 1\rp 2\r\np")
    monitor.receive(b" 3\n")
    await settle()
    assert pipe.text() == (f"cpu 1\r\n{PROMPT}p 1\r\n0x1\r\n{PROMPT}p 2\r\n0x2\r\n{PROMPT}p 3\r\n0x3\r\n{PROMPT}")


async def test_input_is_held_back_while_a_command_runs(monitor: MonitorFrontend, machine: FakeMachine) -> None:
    go_on = asyncio.Event()

    async def slow() -> None:
        await go_on.wait()

    machine.stop = slow  # type: ignore[method-assign]
    pipe = FakePipe()
    monitor.opened(pipe)
    monitor.receive(b"stop\n")
    await settle()
    assert pipe.held
    go_on.set()
    await settle()
    assert not pipe.held
    assert pipe.text().endswith(f"stop\r\n{PROMPT}")


async def test_a_slow_reader_gets_everything_in_the_end(monitor: MonitorFrontend) -> None:
    pipe = FakePipe(room=len(BANNER))
    monitor.opened(pipe)
    monitor.receive(b"help\np 1\n")
    await settle()
    assert pipe.held
    assert pipe.text() == BANNER
    pipe.room = 100
    monitor.writable()
    await settle()
    assert pipe.held
    pipe.room = None
    monitor.writable()
    await settle()
    assert not pipe.held
    shown = pipe.text()
    assert shown.startswith("help\r\n")
    assert shown.endswith(f"{PROMPT}p 1\r\n0x1\r\n{PROMPT}")


async def test_every_connection_is_a_session_of_its_own(monitor: MonitorFrontend, machine: FakeMachine) -> None:
    machine.cpus[1].state.gprs[0] = 7
    first, second = FakePipe(), FakePipe()
    monitor.opened(first)
    monitor.receive(b"cpu 1\nhalf a line")
    await settle()
    monitor.closed()
    monitor.opened(second)
    second.text()
    monitor.receive(b"p $rax\n")
    await settle()
    assert second.text() == f"p $rax\r\n0x0\r\n{PROMPT}"


async def test_a_peer_that_leaves_during_a_command_does_no_harm(monitor: MonitorFrontend, machine: FakeMachine) -> None:
    go_on = asyncio.Event()

    async def slow() -> None:
        await go_on.wait()

    machine.stop = slow  # type: ignore[method-assign]
    pipe = FakePipe()
    monitor.opened(pipe)
    monitor.receive(b"stop\np 1\n")
    monitor.closed()
    shown = pipe.text()
    go_on.set()
    await settle()
    monitor.receive(b"ignored\n")
    monitor.writable()
    assert shown == f"{BANNER}stop\r\n"
    assert pipe.text() == ""


async def test_the_line_is_shown_again_when_the_keyboard_returns(monitor: MonitorFrontend) -> None:
    pipe = FakePipe()
    monitor.focus_gained()
    monitor.opened(pipe)
    monitor.receive(b"info na")
    pipe.text()
    monitor.focus_gained()
    assert pipe.text() == f"\r\n\r{PROMPT}info na\x1b[K"

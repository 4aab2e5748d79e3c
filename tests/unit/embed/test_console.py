"""The console of a machine object, with a fake serial port at its other end."""

from __future__ import annotations

import asyncio
import re

import pytest
from tests.support.recording_frontend import RecordingFrontend

from varan.chardev.base import ChardevError
from varan.embed.console import KEPT, Console, ExpectTimeout


@pytest.fixture
def port() -> RecordingFrontend:
    return RecordingFrontend()


@pytest.fixture
async def console(port: RecordingFrontend) -> Console:
    console = Console("serial0")
    console.attach(port)
    await console.open()
    return console


def prints(port: RecordingFrontend, data: bytes) -> None:
    """The guest prints `data`."""
    assert port.pipe is not None
    assert port.pipe.write(data) == len(data)


async def test_expect_consumes_output_in_order(console: Console, port: RecordingFrontend) -> None:
    prints(port, b"one two one three")
    await console.expect("one")
    await console.expect("one")
    with pytest.raises(ExpectTimeout):
        await console.expect("two", timeout=0)
    assert (await console.expect(re.compile(r"t(\w+)")))[1] == "hree"
    assert console.text == "one two one three"


async def test_expect_waits_for_output_that_comes_in_pieces(console: Console, port: RecordingFrontend) -> None:
    waiting = asyncio.ensure_future(console.expect("né>"))
    for byte in "a prompt né>".encode():
        await asyncio.sleep(0)
        assert not waiting.done()
        prints(port, bytes([byte]))
    await waiting


async def test_a_timeout_shows_the_last_lines(console: Console, port: RecordingFrontend) -> None:
    prints(port, b"first\r\nKernel panic\r\n")
    with pytest.raises(TimeoutError, match="did not show 'login:' in time; its last lines:\nfirst\nKernel panic"):
        await console.expect("login:", timeout=0)


async def test_the_end_of_the_machine_ends_waiting(console: Console, port: RecordingFrontend) -> None:
    prints(port, b"bye")
    waiting = asyncio.ensure_future(console.expect("more"))
    await asyncio.sleep(0)
    await console.close()
    with pytest.raises(ChardevError, match="ended before its console showed 'more'"):
        await waiting
    await console.expect("bye")


async def test_old_output_is_forgotten(console: Console, port: RecordingFrontend) -> None:
    prints(port, b"old")
    await console.expect("old")
    prints(port, b"x" * KEPT)
    prints(port, b"new")
    assert len(console.text) == KEPT
    await console.expect("new")


async def test_typing_waits_while_the_port_takes_nothing(console: Console, port: RecordingFrontend) -> None:
    console.write(b"a")
    assert port.pipe is not None
    port.pipe.pause_input()
    console.send_line("bc")
    assert bytes(port.input) == b"a"
    port.pipe.resume_input()
    assert bytes(port.input) == b"abc\r"


async def test_output_is_passed_on_as_it_comes(console: Console, port: RecordingFrontend) -> None:
    seen: list[bytes] = []
    console.on_output(seen.append)
    prints(port, b"a")
    prints(port, b"b")
    assert seen == [b"a", b"b"]


def test_a_console_has_one_user() -> None:
    console = Console("serial0")
    console.attach(RecordingFrontend())
    with pytest.raises(ChardevError, match="in use"):
        console.attach(RecordingFrontend())

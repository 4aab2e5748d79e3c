import os
import termios

import pytest
from tests.support.recording_frontend import RecordingFrontend

from varan.chardev.pty import Pty


@pytest.fixture
async def pty():
    chardev = Pty("c", poll_seconds=0.001)
    yield chardev
    await chardev.close()


def open_terminal(pty: Pty) -> int:
    return os.open(pty.terminal, os.O_RDWR | os.O_NOCTTY)


async def test_filename_names_the_terminal(pty):
    await pty.open()
    assert pty.filename == f"pty:{pty.terminal}"
    assert os.path.exists(pty.terminal)


async def test_who_opens_the_terminal_is_connected_and_may_leave_and_return(pty):
    recorder = RecordingFrontend()
    pty.attach(recorder)
    await pty.open()
    assert recorder.events == []
    for visit in (1, 2):
        terminal = open_terminal(pty)
        await recorder.until_event("opened", visit)
        os.write(terminal, b"typed")
        await recorder.until_input(b"typed")
        recorder.pipe.write(b"shown\n")
        assert os.read(terminal, 100) == b"shown\n"
        os.close(terminal)
        await recorder.until_event("closed", visit)


async def test_the_terminal_is_raw(pty):
    await pty.open()
    terminal = open_terminal(pty)
    flags = termios.tcgetattr(terminal)[3]
    os.close(terminal)
    assert not flags & (termios.ECHO | termios.ICANON | termios.ISIG)


async def test_output_after_the_user_left_is_dropped(pty):
    recorder = RecordingFrontend()
    pty.attach(recorder)
    await pty.open()
    terminal = open_terminal(pty)
    pipe = await recorder.connected()
    os.close(terminal)
    assert pipe.write(b"nobody") == 6
    await recorder.until_event("closed")
    assert pipe.write(b"nobody") == 6


async def test_leaving_is_noticed_once_when_reading_and_writing_both_fail(pty):
    recorder = RecordingFrontend()
    pty.attach(recorder)
    await pty.open()
    terminal = open_terminal(pty)
    pipe = await recorder.connected()
    os.close(terminal)
    pipe.write(b"nobody")
    await recorder.until_event("closed")
    terminal = open_terminal(pty)
    await recorder.until_event("opened", 2)
    os.write(terminal, b"back")
    await recorder.until_input(b"back")
    assert recorder.events == ["opened", "closed", "opened"]
    os.close(terminal)


async def test_close_takes_the_terminal_away(pty):
    await pty.open()
    terminal = pty.terminal
    await pty.close()
    assert not os.path.exists(terminal)

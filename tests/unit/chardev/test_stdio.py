import asyncio
import os
import signal
import socket
import subprocess
import sys
import termios

import pytest
from tests.support.recording_frontend import RecordingFrontend

from varan.chardev.base import ChardevError
from varan.chardev.stdio import Stdio


@pytest.fixture
def terminal():
    """A pseudo terminal: (the user's end, our end)."""
    user, ours = os.openpty()
    os.set_blocking(user, False)
    yield user, ours
    os.close(user)
    os.close(ours)


async def read_some(fd: int) -> bytes:
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(fd, readable.set)
    try:
        async with asyncio.timeout(10):
            await readable.wait()
        return os.read(fd, 1 << 16)
    finally:
        loop.remove_reader(fd)


def local_flags(fd: int) -> int:
    return termios.tcgetattr(fd)[3]


async def test_a_terminal_is_raw_while_open_and_restored_after(terminal):
    user, ours = terminal
    before = termios.tcgetattr(ours)
    stdio = Stdio("c", input_fd=ours, output_fd=ours)
    recorder = RecordingFrontend()
    stdio.attach(recorder)
    await stdio.open()
    assert not local_flags(ours) & (termios.ECHO | termios.ICANON)
    assert local_flags(ours) & termios.ISIG
    os.write(user, b"\x04k")
    await recorder.until_input(b"\x04k")
    recorder.pipe.write(b"shown")
    assert await read_some(user) == b"shown"
    await stdio.close()
    assert termios.tcgetattr(ours) == before
    assert recorder.events == ["opened", "closed"]


async def test_a_suspended_program_gets_its_raw_terminal_back(terminal):
    _, ours = terminal
    before = termios.tcgetattr(ours)
    stdio = Stdio("c", input_fd=ours, output_fd=ours)
    await stdio.open()
    termios.tcsetattr(ours, termios.TCSANOW, before)
    os.kill(os.getpid(), signal.SIGCONT)
    async with asyncio.timeout(10):
        while local_flags(ours) & termios.ICANON:
            await asyncio.sleep(0)
    await stdio.close()
    assert termios.tcgetattr(ours) == before


async def test_signal_off_passes_ctrl_c_to_the_guest(terminal):
    user, ours = terminal
    stdio = Stdio("c", signals=False, input_fd=ours, output_fd=ours)
    recorder = RecordingFrontend()
    stdio.attach(recorder)
    await stdio.open()
    assert not local_flags(ours) & termios.ISIG
    os.write(user, b"\x03")
    await recorder.until_input(b"\x03")
    await stdio.close()


async def test_the_shells_descriptors_stay_blocking(terminal):
    _, ours = terminal
    read, write = os.pipe()
    stdio = Stdio("c", input_fd=ours, output_fd=write)
    await stdio.open()
    assert os.get_blocking(ours)
    assert os.get_blocking(write)
    await stdio.close()
    os.close(read)
    os.close(write)


async def test_sockets_are_made_non_blocking_and_changed_back():
    left, right = socket.socketpair()
    with left, right:
        stdio = Stdio("c", input_fd=left.fileno(), output_fd=left.fileno())
        recorder = RecordingFrontend()
        stdio.attach(recorder)
        await stdio.open()
        assert not os.get_blocking(left.fileno())
        right.send(b"hi")
        await recorder.until_input(b"hi")
        await stdio.close()
        assert os.get_blocking(left.fileno())


@pytest.mark.parametrize("source", ["/dev/null", "empty pipe", "file"])
async def test_the_end_of_the_input_leaves_the_output_open(tmp_path, source):
    given = b""
    if source == "empty pipe":
        stdin, writer = os.pipe()
        os.close(writer)
    elif source == "file":
        given = b"script\n"
        (tmp_path / "script").write_bytes(given)
        stdin = os.open(tmp_path / "script", os.O_RDONLY)
    else:
        stdin = os.open(source, os.O_RDONLY)
    read, write = os.pipe()
    stdio = Stdio("c", input_fd=stdin, output_fd=write)
    recorder = RecordingFrontend()
    stdio.attach(recorder)
    await stdio.open()
    await recorder.until_input(given)
    await asyncio.sleep(0)
    recorder.pipe.write(b"output")
    assert os.read(read, 100) == b"output"
    assert recorder.events == ["opened"]
    await stdio.close()
    for fd in (stdin, read, write):
        os.close(fd)


async def test_a_reader_that_left_closes(terminal):
    _, ours = terminal
    read, write = os.pipe()
    stdio = Stdio("c", input_fd=ours, output_fd=write)
    recorder = RecordingFrontend()
    stdio.attach(recorder)
    await stdio.open()
    os.close(read)
    assert recorder.pipe.write(b"lost") == 4
    await recorder.until_event("closed")
    await stdio.close()
    os.close(write)


async def test_the_standard_input_has_one_user_at_a_time(terminal):
    _, ours = terminal
    first = Stdio("a", input_fd=ours, output_fd=ours)
    second = Stdio("b", input_fd=ours, output_fd=ours)
    await first.open()
    with pytest.raises(ChardevError, match=r"chardev 'b': another chardev has the standard input.*mux=on"):
        await second.open()
    assert not local_flags(ours) & termios.ICANON
    await first.close()
    await second.open()
    await second.close()


async def test_a_closed_descriptor_is_a_clear_error():
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    with pytest.raises(ChardevError, match="standard input and output: Bad file descriptor"):
        await Stdio("c", input_fd=read, output_fd=write).open()


@pytest.mark.parametrize("ending", ["raise SystemExit(3)", "raise RuntimeError('unexpected')"])
def test_the_end_of_the_process_restores_the_terminal(terminal, ending):
    _, ours = terminal
    before = termios.tcgetattr(ours)
    script = f"""
import asyncio, sys, termios
from varan.chardev.stdio import Stdio
async def main():
    await Stdio("c").open()
    assert not termios.tcgetattr(0)[3] & termios.ICANON
    sys.stderr.write("raw")
    {ending}
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], stdin=ours, stdout=ours, stderr=subprocess.PIPE, timeout=60, check=False
    )
    assert done.stderr.startswith(b"raw")
    assert done.returncode != 0
    assert termios.tcgetattr(ours) == before

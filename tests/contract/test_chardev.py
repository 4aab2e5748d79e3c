"""What every kind of chardev promises, asked of each that is registered."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.recording_frontend import RecordingFrontend, pass_turns

from varan.chardev import registry
from varan.chardev.base import Chardev, ChardevError
from varan.chardev.mux import Mux
from varan.chardev.options import LegacyChardev, parse_legacy
from varan.chardev.pty import Pty
from varan.chardev.stdio import Stdio


@dataclass
class Subject:
    """A chardev and how the host gets at its other end.

    `send` is None where there is no input; `received` gives all output so far, None where it leaves no trace.
    """

    chardev: Chardev
    connect: Callable[[], None] = lambda: None
    send: Callable[[bytes], None] | None = None
    received: Callable[[], bytes] | None = None


def file_subject(folder: Path, stack: ExitStack) -> Subject:
    os.mkfifo(folder / "in")
    source = open_fd(stack, folder / "in")
    chardev = registry.create("file", "c", {"path": str(folder / "out"), "input-path": str(folder / "in")})
    return Subject(
        chardev, send=lambda data: check_all(os.write(source, data), data), received=(folder / "out").read_bytes
    )


def pipe_subject(folder: Path, stack: ExitStack) -> Subject:
    os.mkfifo(folder / "p.in")
    os.mkfifo(folder / "p.out")
    source, sink = open_fd(stack, folder / "p.in"), open_fd(stack, folder / "p.out")
    chardev = registry.create("pipe", "c", {"path": str(folder / "p")})
    return Subject(chardev, send=lambda data: check_all(os.write(source, data), data), received=collect(sink))


def socket_subject(folder: Path, stack: ExitStack) -> Subject:
    path = str(folder / "s")
    chardev = registry.create("socket", "c", {"path": path, "server": "on", "wait": "off"})
    peer = stack.enter_context(socket.socket(socket.AF_UNIX))

    def connect() -> None:
        peer.connect(path)
        peer.setblocking(False)

    return Subject(chardev, connect, send=peer.sendall, received=collect(peer.fileno()))


def pty_subject(folder: Path, stack: ExitStack) -> Subject:
    chardev = Pty("c", poll_seconds=0.001)
    opened: list[int] = []
    return Subject(
        chardev,
        lambda: opened.append(open_fd(stack, chardev.terminal)),
        send=lambda data: check_all(os.write(opened[0], data), data),
        received=lambda: collect(opened[0])(),
    )


def stdio_subject(folder: Path, stack: ExitStack) -> Subject:
    stdin, source = os.pipe()
    sink, stdout = os.pipe()
    for fd in (stdin, source, sink, stdout):
        stack.callback(os.close, fd)
    os.set_blocking(sink, False)
    chardev = Stdio("c", input_fd=stdin, output_fd=stdout)
    return Subject(chardev, send=lambda data: check_all(os.write(source, data), data), received=collect(sink))


def ringbuf_subject(folder: Path, stack: ExitStack) -> Subject:
    chardev = registry.create("ringbuf", "c", {})
    return Subject(chardev, received=lambda: chardev.read(1 << 20))


def null_subject(folder: Path, stack: ExitStack) -> Subject:
    return Subject(registry.create("null", "c", {}))


def mux_subject(folder: Path, stack: ExitStack) -> Subject:
    subject = socket_subject(folder, stack)
    subject.chardev = Mux(subject.chardev)
    return subject


SUBJECTS: dict[str, Callable[[Path, ExitStack], Subject]] = {
    "file": file_subject,
    "memory": ringbuf_subject,
    "mux": mux_subject,
    "null": null_subject,
    "pipe": pipe_subject,
    "pty": pty_subject,
    "ringbuf": ringbuf_subject,
    "socket": socket_subject,
    "stdio": stdio_subject,
}


def open_fd(stack: ExitStack, path: str | Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    stack.callback(os.close, fd)
    return fd


def check_all(count: int, data: bytes) -> None:
    assert count == len(data)


def collect(fd: int) -> Callable[[], bytes]:
    """Reads what there is, without waiting."""

    def read() -> bytes:
        data = b""
        try:
            while part := os.read(fd, 1 << 16):
                data += part
        except BlockingIOError:
            pass
        return data

    return read


@pytest.fixture(params=sorted(SUBJECTS))
async def subject(request, tmp_path):
    with ExitStack() as stack:
        subject = SUBJECTS[request.param](tmp_path, stack)
        yield subject
        await subject.chardev.close()


async def connected(subject: Subject) -> RecordingFrontend:
    recorder = RecordingFrontend()
    subject.chardev.attach(recorder)
    await subject.chardev.open()
    subject.connect()
    await recorder.connected()
    return recorder


def test_every_kind_is_held_to_the_contract():
    assert set(SUBJECTS) - {"mux"} == set(registry.kinds())


async def test_a_frontend_is_told_that_somebody_is_there(subject):
    assert (await connected(subject)).events == ["opened"]


async def test_output_arrives_in_order(subject):
    recorder = await connected(subject)
    pieces = [b"one ", bytearray(b"two "), memoryview(b"three")]
    assert [recorder.pipe.write(piece) for piece in pieces] == [4, 4, 5]
    if subject.received is None:
        return
    data = b""
    async with asyncio.timeout(10):
        while len(data) < 13:
            await asyncio.sleep(0)
            data += subject.received()
    assert data == b"one two three"


async def test_what_was_written_may_be_changed_afterwards(subject):
    recorder = await connected(subject)
    buffer = bytearray(b"x" * 1000)
    assert recorder.pipe.write(buffer) == 1000
    buffer.clear()


async def test_input_arrives_and_waits_while_paused(subject):
    recorder = await connected(subject)
    if subject.send is None:
        return
    subject.send(b"first")
    await recorder.until_input(b"first")
    recorder.pipe.pause_input()
    subject.send(b"second")
    await pass_turns(20)
    assert recorder.input == b""
    recorder.pipe.resume_input()
    await recorder.until_input(b"second")


async def test_a_frontend_may_come_after_the_connection(subject):
    await subject.chardev.open()
    subject.connect()
    if subject.send is not None:
        subject.send(b"early")
    await pass_turns(20)
    recorder = RecordingFrontend()
    subject.chardev.attach(recorder)
    await recorder.connected()
    if subject.send is not None:
        await recorder.until_input(b"early")


async def test_a_second_frontend_is_refused_unless_shared(subject):
    subject.chardev.attach(RecordingFrontend())
    assert subject.chardev.frontend_open
    if isinstance(subject.chardev, Mux):
        subject.chardev.attach(RecordingFrontend())
        return
    with pytest.raises(ChardevError, match="chardev 'c': is in use already"):
        subject.chardev.attach(RecordingFrontend())
    with pytest.raises(ChardevError, match="chardev 'c': is in use already"):
        subject.chardev.attach_each(RecordingFrontend)


async def test_after_a_frontend_has_left_input_waits_for_the_next(subject):
    first = await connected(subject)
    if subject.send is not None:
        subject.send(b"first")
        await first.until_input(b"first")
    subject.chardev.detach(first)
    if subject.send is not None:
        subject.send(b"second")
        await pass_turns(20)
    second = RecordingFrontend()
    subject.chardev.attach(second)
    await second.connected()
    if subject.send is not None:
        await second.until_input(b"second")
    await subject.chardev.close()
    assert (first.events, first.input) == (["opened"], b"")
    assert second.events == ["opened", "closed"]


async def test_who_never_came_cannot_leave(subject):
    recorder = await connected(subject)
    subject.chardev.detach(RecordingFrontend())
    assert subject.chardev.frontend_open
    if subject.send is not None:
        subject.send(b"still")
        await recorder.until_input(b"still")


async def test_attach_each_makes_a_frontend_per_connection(subject):
    made: list[RecordingFrontend] = []

    def make() -> RecordingFrontend:
        made.append(RecordingFrontend())
        return made[-1]

    subject.chardev.attach_each(make)
    assert subject.chardev.frontend_open
    await subject.chardev.open()
    subject.connect()
    async with asyncio.timeout(10):
        while not made:
            await asyncio.sleep(0)
    await made[0].connected()


async def test_close_tells_the_frontend_and_drops_later_output(subject):
    recorder = await connected(subject)
    pipe = recorder.pipe
    await subject.chardev.close()
    assert recorder.events == ["opened", "closed"]
    assert pipe.write(b"too late") == 8


async def test_close_may_come_first_and_twice(subject):
    await subject.chardev.close()
    await subject.chardev.open()
    await subject.chardev.close()
    await subject.chardev.close()


async def test_close_leaves_no_descriptor_behind(subject):
    before = set(os.listdir("/proc/self/fd"))
    await subject.chardev.open()
    await subject.chardev.close()
    assert set(os.listdir("/proc/self/fd")) <= before


async def test_discarded_output_needs_nobody_connected(subject):
    await subject.chardev.open()
    subject.chardev.discard(b"nobody hears")


@pytest.mark.parametrize("kind", registry.kinds())
def test_an_unknown_option_is_refused_by_name(kind, tmp_path):
    needed = {"file": {"path": "x"}, "pipe": {"path": "x"}, "socket": {"path": "x"}}.get(kind, {})
    with pytest.raises(ChardevError, match="chardev 'c': there is no option 'colour'"):
        registry.create(kind, "c", {**needed, "colour": "red"})


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ChardevError, match="no backend 'bogus'; known are file, memory, null"):
        registry.create("bogus", "c", {})


@pytest.mark.parametrize("text", ["null", "stdio", "pty", "ringbuf", "file:x", "pipe:x", "unix:x", "tcp:h:1"])
def test_short_forms_make_chardevs_that_are_not_open(text):
    target = parse_legacy(text)
    assert isinstance(target, LegacyChardev)
    assert not registry.create(target.kind, "c", target.options).frontend_open

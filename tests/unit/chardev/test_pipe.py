import asyncio
import os

import pytest
from tests.support.recording_frontend import RecordingFrontend

from varan.chardev.base import OUTPUT_LIMIT, ChardevError


@pytest.fixture
def fifos(tmp_path):
    base = str(tmp_path / "p")
    os.mkfifo(f"{base}.in")
    os.mkfifo(f"{base}.out")
    return base


async def opened(chardev) -> RecordingFrontend:
    recorder = RecordingFrontend()
    chardev.attach(recorder)
    await chardev.open()
    return recorder


async def test_writers_come_and_go_without_ending_the_input(make, fifos):
    recorder = await opened(make("pipe", path=fifos))
    for word in (b"one", b"two"):
        with open(f"{fifos}.in", "wb") as writer:
            writer.write(word)
        await recorder.until_input(word)
    assert recorder.events == ["opened"]


async def test_output_waits_for_a_reader(make, fifos):
    recorder = await opened(make("pipe", path=fifos))
    recorder.pipe.write(b"early")
    reader = os.open(f"{fifos}.out", os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(reader, 100) == b"early"
    os.close(reader)


async def test_a_slow_reader_makes_write_take_less_until_it_reads(make, fifos):
    recorder = await opened(make("pipe", path=fifos))
    data = os.urandom(3 * OUTPUT_LIMIT)
    taken = recorder.pipe.write(data)
    assert OUTPUT_LIMIT <= taken < len(data)
    assert recorder.pipe.write(b"no") == 0
    reader = os.open(f"{fifos}.out", os.O_RDONLY | os.O_NONBLOCK)
    received = bytearray()
    while len(received) < taken:
        await asyncio.sleep(0)
        try:
            received += os.read(reader, 1 << 16)
        except BlockingIOError:
            continue
    os.close(reader)
    assert received == data[:taken]
    await recorder.until_event("writable")


async def test_one_fifo_serves_both_ways_where_the_pair_is_missing(make, tmp_path):
    os.mkfifo(tmp_path / "both")
    recorder = await opened(make("pipe", path=str(tmp_path / "both")))
    with open(tmp_path / "both", "wb") as writer:
        writer.write(b"hello")
    await recorder.until_input(b"hello")


async def test_missing_fifos_are_an_error_that_says_how_to_make_them(make, tmp_path):
    with pytest.raises(ChardevError, match=r"chardev 'c': .*mkfifo .*/p\.in .*/p\.out"):
        await make("pipe", path=str(tmp_path / "p")).open()


async def test_a_regular_file_is_refused(make, tmp_path):
    (tmp_path / "p").write_text("")
    with pytest.raises(ChardevError, match="is no FIFO"):
        await make("pipe", path=str(tmp_path / "p")).open()

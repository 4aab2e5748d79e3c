import os

import pytest
from tests.support.recording_frontend import RecordingFrontend

from varan.chardev.base import ChardevError


async def opened(chardev) -> RecordingFrontend:
    recorder = RecordingFrontend()
    chardev.attach(recorder)
    await chardev.open()
    return recorder


async def test_output_replaces_the_file(make, tmp_path):
    path = tmp_path / "out"
    path.write_text("old content")
    recorder = await opened(make("file", path=str(path)))
    assert recorder.pipe.write(b"new") == 3
    assert path.read_text() == "new"


async def test_append_keeps_the_file(make, tmp_path):
    path = tmp_path / "out"
    path.write_text("old ")
    recorder = await opened(make("file", path=str(path), append="on"))
    recorder.pipe.write(b"new")
    assert path.read_text() == "old new"


async def test_large_output_is_written_at_once(make, tmp_path):
    path = tmp_path / "out"
    recorder = await opened(make("file", path=str(path)))
    data = os.urandom(3 << 20)
    assert recorder.pipe.write(data) == len(data)
    assert path.read_bytes() == data


async def test_input_comes_from_the_input_file(make, tmp_path):
    source = tmp_path / "in"
    data = os.urandom(100_000)
    source.write_bytes(data)
    recorder = await opened(make("file", path=str(tmp_path / "out"), input_path=str(source)))
    await recorder.until_input(data)
    assert recorder.pipe.write(b"still open") == 10


async def test_input_stops_while_paused(make, tmp_path):
    source = tmp_path / "in"
    source.write_bytes(b"x" * 100_000)
    chardev = make("file", path=str(tmp_path / "out"), input_path=str(source))
    recorder = RecordingFrontend()
    chardev.attach(recorder)

    def pause(pipe):
        RecordingFrontend.opened(recorder, pipe)
        pipe.pause_input()

    recorder.opened = pause
    await chardev.open()
    assert recorder.input == b""
    recorder.pipe.resume_input()
    await recorder.until_input(b"x" * 100_000)


async def test_a_full_disk_closes_with_a_warning(make, caplog):
    recorder = await opened(make("file", path="/dev/full"))
    assert recorder.pipe.write(b"lost") == 4
    await recorder.until_event("closed")
    assert "chardev 'c': '/dev/full': output ends here: No space left on device" in caplog.text


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "option 'path' is missing"),
        ({"path": "x", "append": "perhaps"}, "'append' expects on or off"),
        ({"path": "x", "size": "4"}, "no option 'size'"),
    ],
)
def test_bad_options_are_refused(make, options, problem):
    with pytest.raises(ChardevError, match=f"chardev 'c': .*{problem}"):
        make("file", **options)


async def test_a_path_that_cannot_be_opened_is_a_clear_error(make, tmp_path):
    with pytest.raises(ChardevError, match=r"option 'path': '.*/no/out': No such file or directory"):
        await make("file", path=str(tmp_path / "no" / "out")).open()
    with pytest.raises(ChardevError, match=r"option 'input-path': '.*/in': No such file or directory"):
        await make("file", path=str(tmp_path / "out"), input_path=str(tmp_path / "in")).open()


async def test_a_fifo_without_a_reader_does_not_hold_up_the_machine(make, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ChardevError, match="nobody reads this FIFO"):
        await make("file", path=str(tmp_path / "fifo")).open()

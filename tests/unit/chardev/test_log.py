import os

import pytest
from tests.support.recording_frontend import RecordingFrontend

from varan.chardev.base import ChardevError


async def test_logfile_has_what_was_sent(make, tmp_path):
    log = tmp_path / "log"
    log.write_text("old")
    null = make("null", logfile=str(log))
    recorder = RecordingFrontend()
    null.attach(recorder)
    await null.open()
    recorder.pipe.write(b"hello ")
    recorder.pipe.write(memoryview(b"world"))
    assert log.read_text() == "hello world"


async def test_logappend_keeps_what_was_there(make, tmp_path):
    log = tmp_path / "log"
    log.write_text("old ")
    null = make("null", logfile=str(log), logappend="on")
    recorder = RecordingFrontend()
    null.attach(recorder)
    await null.open()
    recorder.pipe.write(b"new")
    assert log.read_text() == "old new"


async def test_output_with_nobody_connected_is_logged(make, tmp_path):
    log = tmp_path / "log"
    server = make("socket", path=str(tmp_path / "s"), server="on", wait="off", logfile=str(log))
    server.attach(RecordingFrontend())
    await server.open()
    server.discard(b"booting")
    assert log.read_text() == "booting"


async def test_a_logfile_that_cannot_be_made_is_a_clear_error(make, tmp_path):
    null = make("null", logfile=str(tmp_path / "no" / "log"))
    with pytest.raises(ChardevError, match=r"chardev 'c': logfile '.*': No such file or directory"):
        await null.open()


async def test_a_full_disk_ends_the_log_but_not_the_chardev(make, caplog):
    assert os.path.exists("/dev/full")
    null = make("null", logfile="/dev/full")
    recorder = RecordingFrontend()
    null.attach(recorder)
    await null.open()
    assert recorder.pipe.write(b"hello") == 5
    assert recorder.pipe.write(b"hello") == 5
    assert [record.getMessage() for record in caplog.records] == [
        "chardev 'c': logfile '/dev/full' ends here: No space left on device"
    ]

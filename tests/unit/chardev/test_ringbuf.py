import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.recording_frontend import RecordingFrontend

from varan.chardev.base import ChardevError
from varan.chardev.ringbuf import Ring


async def test_output_is_read_back_once(make):
    ringbuf = make("ringbuf")
    recorder = RecordingFrontend()
    ringbuf.attach(recorder)
    await ringbuf.open()
    recorder.pipe.write(b"hello")
    assert (ringbuf.read(4), ringbuf.read(4), ringbuf.read(4)) == (b"hell", b"o", b"")


async def test_the_newest_bytes_win(make):
    ringbuf = make("memory", size="8")
    ringbuf.write(b"0123456789")
    ringbuf.write(b"ab")
    assert ringbuf.read(100) == b"456789ab"


@pytest.mark.parametrize("size", ["0", "3", "100", "1023", "2G"])
def test_a_size_that_is_no_power_of_two_is_refused(make, size):
    with pytest.raises(ChardevError, match=r"chardev 'c': option 'size' expects a power of two up to 1G"):
        make("ringbuf", size=size)


@given(st.lists(st.binary(max_size=40) | st.integers(0, 20)))
def test_ring_keeps_the_tail_of_what_was_not_read(steps):
    ring, model = Ring(16), b""
    for step in steps:
        if isinstance(step, bytes):
            ring.write(step)
            model = (model + step)[-16:]
        else:
            assert ring.read(step) == model[:step]
            model = model[step:]
        assert len(ring) == len(model)

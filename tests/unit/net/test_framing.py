from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varan.net.base import MAX_FRAME
from varan.net.framing import Deframer, FramingError, encode


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 50), min_size=1))
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(frames: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(encode(frame) for frame in frames)
    deframer, at, turn = Deframer(), 0, 0
    found: list[bytes] = []
    while at < len(stream):
        step = cuts[turn % len(cuts)]
        found += deframer.feed(stream[at : at + step])
        at += step
        turn += 1
    assert found == frames


def test_a_length_that_no_frame_has_is_an_error_at_once() -> None:
    with pytest.raises(FramingError):
        list(Deframer().feed((MAX_FRAME + 1).to_bytes(4, "big")))

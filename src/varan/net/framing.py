"""Frames on a byte stream: each behind its length, four bytes, most significant first."""

from __future__ import annotations

from collections.abc import Iterator

from varan.net.base import MAX_FRAME

LENGTH_SIZE = 4


class FramingError(Exception):
    """The peer announced a frame longer than any."""


def encode(frame: bytes) -> bytes:
    """`frame` as it goes onto the stream."""
    return len(frame).to_bytes(LENGTH_SIZE, "big") + frame


class Deframer:
    """Takes the stream in pieces of any size, gives whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that `data` completes. Raises FramingError for a length that no frame has."""
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= LENGTH_SIZE:
                length = int.from_bytes(buffer[at : at + LENGTH_SIZE], "big")
                if length > MAX_FRAME:
                    raise FramingError(f"a frame of {length} bytes")
                end = at + LENGTH_SIZE + length
                if len(buffer) < end:
                    break
                yield bytes(buffer[at + LENGTH_SIZE : end])
                at = end
        finally:
            del buffer[:at]

"""Captures in the classic pcap format (draft-gharris-opsawg-pcap), link type Ethernet, times in microseconds."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable

from varan.net.base import Netdev, NetdevError

log = logging.getLogger("varan.net")

_HEADER = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_MAGIC = 0xA1B2C3D4
_ETHERNET = 1
DEFAULT_LENGTH = 65536
"""Bytes kept of each frame."""


class PcapDump:
    """Writes what goes through a back end into a file. Raises NetdevError when the file cannot be made."""

    def __init__(
        self,
        netdev: Netdev,
        path: str,
        length: int = DEFAULT_LENGTH,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._netdev = netdev
        self._path = path
        self._length = length
        self._wall_clock = wall_clock
        try:
            self._file = open(path, "wb", buffering=0)  # noqa: SIM115 (lives as long as the capture)
            self._file.write(_HEADER.pack(_MAGIC, 2, 4, 0, 0, length, _ETHERNET))
        except OSError as error:
            raise NetdevError(f"capture '{path}': {error.strerror}") from error
        netdev.observers.append(self._record)

    def _record(self, frame: bytes, from_guest: bool) -> None:
        seconds, nanoseconds = divmod(self._wall_clock(), 1_000_000_000)
        kept = frame[: self._length]
        try:
            self._file.write(_RECORD.pack(seconds, nanoseconds // 1000, len(kept), len(frame)) + kept)
        except OSError as error:
            log.warning("capture '%s' ends: %s", self._path, error.strerror)
            self.close()

    def close(self) -> None:
        """End the capture. May be called twice."""
        if self._record in self._netdev.observers:
            self._netdev.observers.remove(self._record)
        self._file.close()

"""Asking for a file's blocks right before they are written, where that makes writing cheaper.

ext4 accounts for every page of a buffered write into a hole that the space will be there when the page is written back
(delayed allocation), which is about a third of what the write costs. Blocks that fallocate(2) has given already need no
such account. What becomes of the file is the same: exactly the bytes that are written have blocks.
"""

from __future__ import annotations

from varan.block.transports import posix

SMALLEST = 256 << 10
"""Bytes of a write from which on a further system call pays."""
_EXT4 = 0xEF53
_STATFS_BYTES = 256
"""More than any struct statfs has; its first long is the type of the file system (statfs(2))."""


class Reservation:
    """The blocks of one open file. Its failures are silent: the write that follows says what is wrong."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._useful: bool | None = None

    def ahead_of(self, offset: int, length: int) -> None:
        """The next thing to happen to this range is that it is written."""
        if length < SMALLEST or self._useful is False:
            return
        if self._useful is None:
            self._useful = _file_system(self._fd) == _EXT4
            if not self._useful:
                return
        try:
            posix.fallocate(self._fd, posix.FALLOC_KEEP_SIZE, offset, length)
        except OSError:
            self._useful = False


def _file_system(fd: int) -> int:
    """The magic number of the file system that the file is on; 0 when it cannot be told."""
    import ctypes

    answer = ctypes.create_string_buffer(_STATFS_BYTES)
    if ctypes.CDLL(None).fstatfs(fd, answer) != 0:
        return 0
    return ctypes.c_long.from_buffer(answer).value

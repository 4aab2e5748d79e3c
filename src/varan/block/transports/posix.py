"""The system calls of the file transport: whole transfers, allocation, geometry, and errors in the block layer's terms.

Everything here may block the calling thread, and releases the GIL while it does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct

from varan.block.base import BlockError, Buffers, ErrorKind
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IOV_MAX = 1024
FALLOC_KEEP_SIZE = 1
FALLOC_PUNCH_HOLE = 2
FALLOC_ZERO_RANGE = 16
_BLKGETSIZE64 = 0x80081272
_BLKDISCARD = 0x1277

_KINDS = {
    errno.ENOENT: ErrorKind.NOT_FOUND,
    errno.ENOTDIR: ErrorKind.NOT_FOUND,
    errno.EACCES: ErrorKind.PERMISSION,
    errno.EPERM: ErrorKind.PERMISSION,
    errno.EROFS: ErrorKind.READ_ONLY,
    errno.ENOSPC: ErrorKind.NO_SPACE,
    errno.EDQUOT: ErrorKind.NO_SPACE,
    errno.EFBIG: ErrorKind.NO_SPACE,
    errno.EBUSY: ErrorKind.IN_USE,
    errno.ETXTBSY: ErrorKind.IN_USE,
    errno.EOPNOTSUPP: ErrorKind.UNSUPPORTED,
    errno.ENOSYS: ErrorKind.UNSUPPORTED,
    errno.EINVAL: ErrorKind.INVALID,
    errno.EISDIR: ErrorKind.INVALID,
    errno.ENAMETOOLONG: ErrorKind.INVALID,
    errno.ELOOP: ErrorKind.INVALID,
}
UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY, errno.ENODEV, errno.EINVAL})
"""What the kernel answers when a file system cannot do a kind of allocation."""


def block_error(error: OSError, where: str, offset: int | None = None) -> BlockError:
    """The host's error as the block layer has it."""
    kind = _KINDS.get(error.errno or 0, ErrorKind.IO)
    return BlockError(kind, os.strerror(error.errno or errno.EIO), where=where, offset=offset)


def advance(buffers: Sequence[memoryview], count: int) -> list[memoryview]:
    """What is left of `buffers` behind their first `count` bytes."""
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return [buffer[count:], *buffers[index + 1 :]]
        count -= len(buffer)
    return []


def read_whole(fd: int, offset: int, buffers: Buffers) -> None:
    """Fill `buffers`; behind the end of the file there are zeros. Raises OSError."""
    rest: Buffers = buffers
    while rest:
        count = os.preadv(fd, rest[:IOV_MAX], offset)
        if count == 0 and any(map(len, rest[:IOV_MAX])):
            fill_zeros(rest)
            return
        offset += count
        rest = advance(rest, count)


def fill_zeros(buffers: Buffers) -> None:
    """Fill `buffers` with zeros."""
    import ctypes

    for buffer in buffers:
        if len(buffer):
            ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(buffer)), 0, len(buffer))


def write_whole(fd: int, offset: int, buffers: Buffers, flags: int = 0) -> None:
    """Write all of `buffers`. Raises OSError (what was written before the error stays written)."""
    rest: Buffers = buffers
    while rest:
        count = os.pwritev(fd, rest[:IOV_MAX], offset, flags)
        if count == 0 and any(map(len, rest[:IOV_MAX])):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        offset += count
        rest = advance(rest, count)


def _load_fallocate() -> tuple[Callable[[int, int, int, int], int], Callable[[], int]]:
    import ctypes

    call = ctypes.CDLL(None, use_errno=True).fallocate
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return call, ctypes.get_errno


_calls: list[tuple[Callable[[int, int, int, int], int], Callable[[], int]]] = []
"""fallocate(2) and the error number of the last call that failed, once somebody needed them."""


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """fallocate(2), with the modes that posix_fallocate has not. Raises OSError."""
    if not _calls:
        _calls.append(_load_fallocate())
    call, last_error = _calls[0]
    while call(fd, mode, offset, length) != 0:
        number = last_error()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


def zero_range(fd: int, offset: int, length: int) -> None:
    """Make a range within a file read as zeros and keep its space; EOPNOTSUPP where nothing cheap does. OSError."""
    try:
        try:
            fallocate(fd, FALLOC_ZERO_RANGE, offset, length)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            # File systems that cannot do it at once (tmpfs) mostly can in two steps.
            fallocate(fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, offset, length)
            fallocate(fd, 0, offset, length)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            raise OSError(errno.EOPNOTSUPP, "no cheap zeroing") from None
        raise


def sync_data(fd: int) -> None:
    """fdatasync(2), which files that keep nothing (character devices) may not have. Raises OSError."""
    try:
        os.fdatasync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def discard_blocks(fd: int, offset: int, length: int) -> None:
    """BLKDISCARD on a block device. Raises OSError."""
    fcntl.ioctl(fd, _BLKDISCARD, struct.pack("=QQ", offset, length))


def device_length(fd: int) -> int:
    """The size in bytes of a regular file or block device. Raises OSError."""
    status = os.fstat(fd)
    if stat.S_ISBLK(status.st_mode):
        answer = fcntl.ioctl(fd, _BLKGETSIZE64, bytes(8))
        return int(struct.unpack("=Q", answer)[0])
    if stat.S_ISCHR(status.st_mode):
        return os.lseek(fd, 0, os.SEEK_END)
    return status.st_size


def next_extent(fd: int, offset: int, end: int) -> tuple[bool, int]:
    """Whether data is at `offset`, and where that changes (at most `end`). Raises OSError."""
    try:
        data = os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return False, end
        if error.errno in UNSUPPORTED:
            return True, end
        raise
    if data > offset:
        return False, min(data, end)
    return True, min(os.lseek(fd, offset, os.SEEK_HOLE), end)


def preallocate(fd: int, start: int, end: int, how: str) -> None:
    """Give a file that ends at `start` the size `end`, with space as `how` ("off", "falloc", "full") says. OSError."""
    if how == "falloc" and end > start:
        os.posix_fallocate(fd, start, end - start)
        return
    os.ftruncate(fd, end)
    if how == "full":
        zeros = memoryview(bytes(1 << 20))
        for offset in range(start, end, len(zeros)):
            write_whole(fd, offset, [zeros[: end - offset]])
        os.fsync(fd)

"""A host file that appears whole or not at all.

What is written goes to a new file beside the target, which takes the target's name once everything is on the disk.
Targets that are not regular files (a pipe, a terminal, /dev/null) cannot be replaced and are written straight through.
File calls run on a worker thread, so that a slow disk does not hold up the machine's loop.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from varan import errors

T = TypeVar("T")

_ZEROS = bytes(1 << 16)


class WholeFile:
    """An async context manager: `write` and `skip` in order; leaving without an exception puts the file in place.

    Raises OpenFileFailed when the file cannot be made, errors.IOError when it cannot be written.
    """

    def __init__(self, filename: str) -> None:
        self._filename = filename
        self._file: _NewFile | _OpenedFile

    async def __aenter__(self) -> WholeFile:
        try:
            self._file = await _in_thread(lambda: _open(self._filename))
        except (OSError, ValueError) as error:
            raise errors.OpenFileFailed(self._filename, _words(error)) from None
        return self

    async def write(self, data: bytes | bytearray) -> None:
        """Append `data`."""
        await self._perform(lambda: self._file.write(data))

    async def skip(self, count: int) -> None:
        """Append `count` zero bytes, without storing them where the file can have holes."""
        await self._perform(lambda: self._file.skip(count))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            await _in_thread(self._file.discard)
            return
        try:
            await self._perform(self._file.finish)
        except BaseException:
            await _in_thread(self._file.discard)
            raise

    async def _perform(self, work: Callable[[], None]) -> None:
        try:
            await _in_thread(work)
        except OSError as error:
            raise errors.IOError(f"{self._filename}: {_words(error)}") from None


class _NewFile:
    """A file of ours beside a target that it will replace."""

    def __init__(self, target: str, mode: int | None) -> None:
        self._target = target
        directory, name = os.path.split(target)
        self._directory = directory or "."
        self._path = os.path.join(self._directory, f".{name[:200]}.{os.urandom(6).hex()}")
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._size = 0
        if mode is not None:
            os.fchmod(self._fd, mode)

    def write(self, data: bytes | bytearray) -> None:
        view = memoryview(data)
        while view:
            count = os.pwrite(self._fd, view, self._size)
            self._size += count
            view = view[count:]

    def skip(self, count: int) -> None:
        try:
            os.ftruncate(self._fd, self._size + count)
        except OverflowError:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG)) from None
        self._size += count

    def finish(self) -> None:
        os.fsync(self._fd)
        os.rename(self._path, self._target)
        self._path = ""
        os.close(self._fd)
        self._fd = -1
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def discard(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._path:
            os.unlink(self._path)
            self._path = ""


class _OpenedFile:
    """A target that is no regular file: bytes go straight there."""

    def __init__(self, target: str) -> None:
        self._fd = os.open(target, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def skip(self, count: int) -> None:
        while count:
            piece = min(count, len(_ZEROS))
            self.write(memoryview(_ZEROS)[:piece])
            count -= piece

    def finish(self) -> None:
        self.discard()

    def discard(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def _open(filename: str) -> _NewFile | _OpenedFile:
    target = os.path.realpath(filename)
    if not filename:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return _NewFile(target, None)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        return _OpenedFile(target)
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return _NewFile(target, stat.S_IMODE(status.st_mode))


async def _in_thread(work: Callable[[], T]) -> T:
    """Run `work` on a worker thread. Cancelled, it still waits for the thread: it may be using a descriptor."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)

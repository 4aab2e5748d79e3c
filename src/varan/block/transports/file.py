"""Image files and block devices of the host: the drivers `file`, `host_device` and `host_cdrom`.

A request is tried on the spot first (`RWF_NOWAIT`); what would wait goes to a worker thread. Where nobody else could
use the time (no loop runs, or the graph is a tool's) it is done on the spot anyhow.
"""

from __future__ import annotations

import errno
import os
import stat

from varan.block.base import (
    BlockError,
    Buffers,
    ChildRole,
    CreateOption,
    Data,
    Driver,
    Edge,
    ErrorKind,
    Extent,
    Limits,
    Node,
    OpenOptions,
    Permission,
    Write,
    no_secrets,
)
from varan.block.lazy import asyncio, settled
from varan.block.naming import plain_path
from varan.block.ranges import NOT_HELD
from varan.block.transports import posix
from varan.block.transports.direct import Direct
from varan.block.transports.locking import ImageLock, supported
from varan.block.transports.reserve import Reservation
from varan.light import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable
    from contextlib import AbstractAsyncContextManager
    from typing import ClassVar, TypeVar

    T = TypeVar("T")


_PREALLOCATION = ("off", "falloc", "full")


@record(slots=True)
class Discards:
    """What the host made of discards that reached it."""

    done: int = 0
    failed: int = 0
    bytes: int = 0
    """Of those that were done."""


class FileNode(Node):
    """A file of the host."""

    driver = "file"

    def __init__(self, options: OpenOptions, fd: int, path: str, lock: ImageLock | None) -> None:
        super().__init__(options)
        self._fd = fd
        self._path = path
        self._lock = lock
        self._length = posix.device_length(fd)
        status = os.fstat(fd)
        self._regular = stat.S_ISREG(status.st_mode)
        self._identity = (status.st_dev, status.st_ino, status.st_rdev)
        self.discards = Discards()
        self._unflushed = False
        self._flushes = 0
        self._lost = False
        self._nowait_read = self._nowait_write = True
        self._data = (0, 0)
        """Where data were found last, to ask the host less often: a file system may have to look at every page up to
        the next hole. What has become a hole since and is still taken for data is read as zeros."""
        self._direct = Direct(fd, self._run, lambda: self._length) if options.cache_direct else None
        # Where requests come from a loop, the call would hold up everybody else.
        self._reservation = Reservation(fd) if options.inline and self._regular else None

    @property
    def length(self) -> int:
        return self._length

    @property
    def limits(self) -> Limits:
        return Limits(zero_alignment=4096)

    @property
    def filename(self) -> str:
        return self._path

    @property
    def fd(self) -> int:
        """The open file description, for copying between files in the kernel."""
        return self._fd

    def identity(self) -> Hashable:
        return self._identity

    def stored(self) -> int:
        return os.fstat(self._fd).st_blocks * 512

    def permissions_changed(self, wanted: Permission, shared: Permission) -> None:
        if self._lock is not None:
            self._lock.apply(wanted, shared)

    async def read(self, offset: int, buffers: Buffers) -> None:
        if self._direct is not None:
            await self._convert_errors(self._direct.read(offset, buffers), offset)
            return
        rest: Buffers = buffers
        if self._nowait_read and not self._inline():
            try:
                count = os.preadv(self._fd, buffers[: posix.IOV_MAX], offset, os.RWF_NOWAIT)
            except OSError as error:
                count = 0
                self._nowait_read = self._only_would_wait(error, offset)
            offset += count
            rest = posix.advance(buffers, count)
            if rest and offset >= self._length:
                posix.fill_zeros(rest)
                return
        if rest:
            await self._wait(posix.read_whole, self._fd, offset, rest, at=offset)

    def read_now(self, offset: int, buffers: Buffers) -> bool:
        if self._direct is not None or not self._nowait_read or len(buffers) > posix.IOV_MAX:
            return False
        try:
            return os.preadv(self._fd, buffers, offset, os.RWF_NOWAIT) == sum(map(len, buffers))
        except OSError:
            return False

    def write_now(self, offset: int, buffers: Buffers) -> bool:
        if self._direct is not None or len(buffers) > posix.IOV_MAX or not self._regular:
            return False
        self._unflushed = True
        length = sum(map(len, buffers))
        try:
            done = os.pwritev(self._fd, buffers, offset) == length
        except OSError:
            return False
        if done and offset + length > self.write_mark:
            self.note_write(offset, length)
        return done

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        self._unflushed = True
        sync = os.RWF_DSYNC if flags & Write.FUA and not self.options.cache_no_flush else 0
        rest: Buffers = buffers
        end = offset + sum(map(len, buffers))
        self.note_write(offset, end - offset)
        if self._direct is not None:
            self._length = max(self._length, end)
            await self._convert_errors(self._direct.write(offset, buffers, sync), offset)
            return
        if self._reservation is not None:
            self._reservation.ahead_of(offset, end - offset)
        if self._nowait_write and not sync and not self._inline():
            try:
                count = os.pwritev(self._fd, buffers[: posix.IOV_MAX], offset, os.RWF_NOWAIT)
            except OSError as error:
                count = 0
                self._nowait_write = self._only_would_wait(error, offset)
            offset += count
            rest = posix.advance(buffers, count)
        if rest:
            await self._wait(posix.write_whole, self._fd, offset, rest, sync, at=offset)
        if end > self._length:
            self._length = end

    async def write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        self._unflushed = True
        unmap = bool(flags & Write.MAY_UNMAP and self.options.discard)
        self.note_write(offset, length)
        async with self._hold(offset, length):
            await self._wait(self._zero, offset, length, unmap, at=offset)
            self._length = max(self._length, offset + length)
            self._data = (0, 0)
        if flags & Write.FUA:
            await self.flush()

    def _zero(self, offset: int, length: int, unmap: bool) -> None:
        if self._regular and offset + length > self._length:
            # A byte at the new end cannot cut off what another request appends meanwhile, as ftruncate could.
            os.pwrite(self._fd, b"\0", offset + length - 1)
            length = max(self._length - offset, 0)
        if length == 0:
            return
        if unmap:
            try:
                posix.fallocate(self._fd, posix.FALLOC_PUNCH_HOLE | posix.FALLOC_KEEP_SIZE, offset, length)
                return
            except OSError as error:
                if error.errno not in posix.UNSUPPORTED:
                    raise
        posix.zero_range(self._fd, offset, length)

    async def discard(self, offset: int, length: int) -> None:
        if not self.options.discard:
            return
        self._unflushed = True
        try:
            async with self._hold(offset, length):
                if self._regular:
                    mode = posix.FALLOC_PUNCH_HOLE | posix.FALLOC_KEEP_SIZE
                    await self._wait(posix.fallocate, self._fd, mode, offset, length, at=offset)
                else:
                    await self._wait(posix.discard_blocks, self._fd, offset, length, at=offset)
                self._data = (0, 0)
        except BlockError as error:
            self.discards.failed += 1
            if error.kind not in (ErrorKind.UNSUPPORTED, ErrorKind.INVALID):
                raise
        else:
            self.discards.done += 1
            self.discards.bytes += length

    async def flush(self) -> None:
        if self._lost:
            raise BlockError(ErrorKind.IO, "an earlier flush failed: written data is lost", where=self._path)
        # While another flush is under way, what it covers is not on the disk yet: it counts as nothing here.
        if not (self._unflushed or self._flushes) or self.options.cache_no_flush:
            return
        self._unflushed = False
        self._flushes += 1
        try:
            await self._wait(posix.sync_data, self._fd)
        except BlockError:
            # After a failed sync the kernel forgets which cached pages were dirty: a later one would lie.
            self._unflushed = True
            self._lost = self._direct is None
            raise
        except BaseException:
            self._unflushed = True
            raise
        finally:
            self._flushes -= 1

    async def block_status(self, offset: int, length: int) -> Extent:
        end = min(offset + length, self._length)
        if offset >= end:
            return Extent(length, Data.ZERO | Data.ALLOCATED)
        if not self._regular:
            return Extent(length, Data.DATA | Data.ALLOCATED | Data.RAW_OFFSET, offset, self)
        start, change = self._data
        data = start <= offset < change
        if not data:
            try:
                data, change = posix.next_extent(self._fd, offset, self._length)
            except OSError as error:
                raise posix.block_error(error, self._path, offset) from None
            if data:
                self._data = (offset, change)
        kind = Data.DATA if data else Data.ZERO
        return Extent(min(change, end) - offset, kind | Data.ALLOCATED | Data.RAW_OFFSET, offset, self)

    async def truncate(self, length: int, preallocation: str = "off", *, exact: bool = True) -> None:
        if not self._regular:
            if length > self._length or (exact and length != self._length):
                raise BlockError(ErrorKind.UNSUPPORTED, "a device cannot be resized", where=self._path)
            return
        if preallocation not in _PREALLOCATION:
            raise BlockError(ErrorKind.INVALID, f"no preallocation mode '{preallocation}' here", where=self._path)
        if preallocation != "off" and length < self._length:
            raise BlockError(ErrorKind.INVALID, "preallocation cannot be used for shrinking", where=self._path)
        self._unflushed = True
        await self._wait(posix.preallocate, self._fd, self._length, length, preallocation)
        self._length = length
        self._data = (0, 0)

    async def copy_range(self, source: Node, source_offset: int, offset: int, length: int) -> int:
        """Copy within the kernel from another file node. Returns the bytes copied, 0 when it cannot. BlockError."""
        if not isinstance(source, FileNode):
            return 0
        try:
            count = await self._run(os.copy_file_range, source.fd, self._fd, length, source_offset, offset)
        except OSError as error:
            if error.errno in posix.UNSUPPORTED | {errno.EXDEV, errno.ETXTBSY, errno.EIO}:
                return 0
            raise posix.block_error(error, self._path, offset) from None
        self._unflushed = True
        self._length = max(self._length, offset + count)
        return count

    async def reopened(self) -> None:
        """The same file by another description: a lock belongs to a description, and so does the right to write."""
        # A file without a name is reached by the descriptor that there is.
        unlinked = not os.fstat(self._fd).st_nlink
        fd = _open_fd(f"/proc/self/fd/{self._fd}" if unlinked else self._path, self.options)
        try:
            if self._lock is not None:
                ImageLock(fd, self._path).apply(*self.granted)
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino, status.st_rdev) != self._identity:
                raise BlockError(ErrorKind.IO, "there is another file of that name now", where=self._path)
            os.dup2(fd, self._fd, inheritable=False)
        finally:
            os.close(fd)

    async def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _hold(self, offset: int, length: int) -> AbstractAsyncContextManager[None]:
        """Keep direct writes from reading what is about to change in their blocks."""
        return self._direct.hold(offset, length) if self._direct is not None else NOT_HELD

    def _inline(self) -> bool:
        if self.options.inline:
            return True
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return True
        return False

    def _only_would_wait(self, error: OSError, offset: int) -> bool:
        """Whether trying without waiting is worth it next time. Raises BlockError for a real error."""
        if error.errno in (errno.EAGAIN, errno.EINTR):
            return True
        if error.errno in posix.UNSUPPORTED:
            return False
        raise posix.block_error(error, self._path, offset)

    async def _run(self, call: Callable[..., T], *arguments: object) -> T:
        if self._inline():
            return call(*arguments)
        work = asyncio.get_running_loop().run_in_executor(None, call, *arguments)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # The kernel may still use the buffers and the descriptor: neither may go before it is done.
            await settled(work)
            raise
        finally:
            # An error's traceback keeps this frame, and so the buffers: the frame must not keep the error.
            del work

    async def _wait(self, call: Callable[..., T], *arguments: object, at: int | None = None) -> T:
        return await self._convert_errors(self._run(call, *arguments), at)

    async def _convert_errors(self, work: Awaitable[T], at: int | None) -> T:
        try:
            return await work
        except OSError as error:
            raise posix.block_error(error, self._path, at) from None


class DeviceNode(FileNode):
    """A block or character device of the host."""

    driver = "host_device"


class CdromNode(DeviceNode):
    """An optical drive of the host."""

    driver = "host_cdrom"


class FileDriver(Driver):
    """Regular files."""

    name = "file"
    is_protocol = True
    child_roles: ClassVar[tuple[ChildRole, ...]] = ()
    open_options: ClassVar[dict[str, str]] = {
        "filename": "str",
        "locking": "str",
        "aio": "str",
        "drop-cache": "bool",
        "x-check-cache-dropped": "bool",
        "pr-manager": "str",
    }
    create_options = (
        CreateOption("preallocation", "string", "Preallocation mode (allowed values: off, falloc, full)", "off"),
        CreateOption("nocow", "bool", "Turn off copy-on-write (valid only on btrfs)"),
        CreateOption("extent_size_hint", "size", "Extent size hint for the image file, 0 to disable"),
    )
    node_class: ClassVar[type[FileNode]] = FileNode

    @classmethod
    def parse_filename(cls, filename: str) -> dict[str, object]:
        return {"filename": filename.removeprefix(f"{cls.name}:")}

    @classmethod
    async def open(cls, options: OpenOptions, children: dict[str, Edge]) -> Node:
        path = options.driver_options.get("filename")
        if not path:
            raise BlockError(ErrorKind.INVALID, f"block driver '{cls.name}' needs option 'filename'")
        if "\0" in path:
            raise BlockError(ErrorKind.INVALID, "a file name cannot contain a zero byte")
        fd = _open_fd(path, options)
        try:
            cls.check_type(path, os.fstat(fd).st_mode)
            return cls.node_class(options, fd, path, _lock(fd, path, options))
        except OSError as error:
            os.close(fd)
            raise posix.block_error(error, path) from None
        except BlockError:
            os.close(fd)
            raise

    @classmethod
    def check_type(cls, path: str, mode: int) -> None:
        """Raise BlockError when the file is not of the driver's kind."""
        if not stat.S_ISREG(mode):
            raise BlockError(ErrorKind.INVALID, "driver 'file' requires a regular file", where=path)

    @classmethod
    async def create(
        cls, filename: str, size: int, options: dict[str, str], secret: Callable[[str], bytes] = no_secrets
    ) -> None:
        path = plain_path(filename)
        preallocation = options.get("preallocation", "off")
        if preallocation not in _PREALLOCATION:
            raise BlockError(ErrorKind.INVALID, f"no preallocation mode '{preallocation}' here", where=path)
        try:
            fd, fresh = _create_fd(path)
        except OSError as error:
            raise posix.block_error(error, path) from None
        try:
            lock = ImageLock(fd, path) if supported(fd) else None
            if lock is not None:
                lock.apply(Permission.WRITE | Permission.RESIZE, Permission.ALL & ~Permission.RESIZE)
            os.ftruncate(fd, 0)
            posix.preallocate(fd, 0, size, preallocation)
        except (OSError, OverflowError, BlockError) as error:
            if fresh:
                os.unlink(path)
            if isinstance(error, OverflowError):
                raise BlockError(ErrorKind.NO_SPACE, f"no file can have {size} bytes", where=path) from None
            if isinstance(error, OSError):
                raise posix.block_error(error, path) from None
            raise
        finally:
            os.close(fd)


class HostDeviceDriver(FileDriver):
    """Block and character devices."""

    name = "host_device"
    node_class: ClassVar[type[FileNode]] = DeviceNode

    @classmethod
    def check_type(cls, path: str, mode: int) -> None:
        if not (stat.S_ISBLK(mode) or stat.S_ISCHR(mode)):
            raise BlockError(ErrorKind.INVALID, f"driver '{cls.name}' requires a device", where=path)

    @classmethod
    async def create(
        cls, filename: str, size: int, options: dict[str, str], secret: Callable[[str], bytes] = no_secrets
    ) -> None:
        """A device exists already: only its size is checked."""
        path = filename.removeprefix(f"{cls.name}:")
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise posix.block_error(error, path) from None
        try:
            cls.check_type(path, os.fstat(fd).st_mode)
            if posix.device_length(fd) < size:
                raise BlockError(ErrorKind.NO_SPACE, "the device is too small", where=path)
        finally:
            os.close(fd)


class HostCdromDriver(HostDeviceDriver):
    """Optical drives."""

    name = "host_cdrom"
    node_class = CdromNode


def _create_fd(path: str) -> tuple[int, bool]:
    """(descriptor, whether the file is new)."""
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644), True
    except FileExistsError:
        return os.open(path, flags | os.O_CREAT, 0o644), False


def _open_fd(path: str, options: OpenOptions) -> int:
    # Without O_NONBLOCK the opening of a FIFO would wait for a writer for ever.
    flags = os.O_CLOEXEC | os.O_NONBLOCK | (os.O_DIRECT if options.cache_direct else 0)
    try:
        try:
            return os.open(path, flags | (os.O_RDONLY if options.read_only else os.O_RDWR))
        except OSError as error:
            refused = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            if options.read_only or not options.auto_read_only or not refused:
                raise
            options.read_only = True
            return os.open(path, flags | os.O_RDONLY)
    except OSError as error:
        raise posix.block_error(error, path) from None


def _lock(fd: int, path: str, options: OpenOptions) -> ImageLock | None:
    wish = options.driver_options.get("locking", "auto")
    if wish not in ("auto", "on", "off"):
        raise BlockError(ErrorKind.INVALID, f"option 'locking' expects 'auto', 'on' or 'off', not '{wish}'", where=path)
    if wish == "off":
        return None
    if supported(fd):
        return ImageLock(fd, path)
    if wish == "on":
        raise BlockError(ErrorKind.UNSUPPORTED, "the host's file system has no such locks", where=path)
    return None


DRIVERS: dict[str, type[Driver]] = {driver.name: driver for driver in (FileDriver, HostDeviceDriver, HostCdromDriver)}

"""Bytes in and out of file descriptors on the loop: terminals, FIFOs, regular files.

Descriptors that the loop can watch must be non-blocking (`NonBlocking` sees to that). Regular
files and the like cannot be watched and never keep one waiting: they are read a piece per turn of the loop and
written directly.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable

from varan.chardev.base import OUTPUT_LIMIT, Frontend

CHUNK = 16 << 10
"""Bytes read at once: many enough for files, few enough that others get their turn."""

FLUSH_CHUNK = 64 << 10
"""Bytes of the queue written at once: what a pipe holds."""

FLUSH_SECONDS = 1.0
"""How long `DescriptorLine.drain` waits for a slow reader before the rest is lost."""


def is_watchable(fd: int) -> bool:
    """Whether the loop can say when `fd` is ready (regular files and /dev/null always are, so it refuses them)."""
    mode = os.fstat(fd).st_mode
    if stat.S_ISCHR(mode):
        return os.isatty(fd)
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISBLK(mode))


class NonBlocking:
    """A non-blocking descriptor for what another descriptor leads to.

    O_NONBLOCK belongs to the open file, which other processes (the shell that started us) share and do not expect to
    change; so a terminal or FIFO is opened anew. Where that cannot be done (a socket, a terminal of another mount
    namespace) the shared file is changed, and changed back by `close`.
    """

    def __init__(self, fd: int, flags: int) -> None:
        """`flags` is os.O_RDONLY or os.O_WRONLY. Raises OSError when `fd` is not open."""
        self._restore = False
        if is_watchable(fd):
            try:
                self.fd = os.open(f"/proc/self/fd/{fd}", flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
                return
            except OSError:
                self._restore = os.get_blocking(fd)
        self.fd = os.dup(fd)
        if self._restore:
            os.set_blocking(self.fd, False)

    def close(self) -> None:
        """Close it."""
        if self._restore:
            os.set_blocking(self.fd, True)
        os.close(self.fd)


class Reader:
    """Delivers what comes from a descriptor. Nothing is read before `resume`."""

    def __init__(self, fd: int, receive: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        """`ended` is called once, at the end of the input or when reading fails."""
        self._fd = fd
        self._receive = receive
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._watched = is_watchable(fd)
        self._active = False
        self._closed = False

    def resume(self) -> None:
        """Deliver input."""
        if self._active or self._closed:
            return
        self._active = True
        if self._watched:
            self._loop.add_reader(self._fd, self._read)
        else:
            self._loop.call_soon(self._read_piece)

    def pause(self) -> None:
        """Deliver nothing until `resume`."""
        if self._active:
            self._active = False
            if self._watched:
                self._loop.remove_reader(self._fd)

    def close(self) -> None:
        """Deliver nothing any more. The descriptor stays open."""
        self.pause()
        self._closed = True

    def _read_piece(self) -> None:
        if not self._active:
            return
        self._read()
        if self._active:
            self._active = False
            self.resume()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._receive(data)
        else:
            self.close()
            self._ended()


class Writer:
    """Sends to a descriptor what it takes, keeping up to OUTPUT_LIMIT bytes for a slow reader."""

    def __init__(self, fd: int, writable: Callable[[], None], failed: Callable[[OSError], None]) -> None:
        """`writable`: more is taken again; `failed`: writing failed, and what is given from now on is dropped."""
        self._fd = fd
        self._writable = writable
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._watched = is_watchable(fd)
        self._queue = bytearray()
        self._starved = False
        self._closed = False
        self._drained: asyncio.Future[None] | None = None

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take what there is room for; returns how many bytes. Once closed everything is taken and dropped."""
        if self._closed:
            return len(data)
        sent = 0 if self._queue else self._send(data)
        rest = len(data) - sent
        if not rest or self._closed:
            return len(data)
        room = OUTPUT_LIMIT - len(self._queue)
        if not self._queue:
            self._loop.add_writer(self._fd, self._flush)
        self._queue += memoryview(data)[sent : sent + room]
        self._starved = rest > room
        return sent + min(rest, room)

    async def drain(self, seconds: float) -> None:
        """Wait until all is sent, writing has failed or `seconds` have passed."""
        if self._queue:
            self._drained = self._loop.create_future()
            await asyncio.wait([self._drained], timeout=seconds)

    def close(self) -> None:
        """Send nothing any more. The descriptor stays open."""
        if self._queue:
            self._loop.remove_writer(self._fd)
            self._queue.clear()
        self._closed = True
        self._finish_drain()

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        sent = 0
        view = memoryview(data)
        try:
            sent = os.write(self._fd, view)
            while not self._watched and sent < len(view):
                sent += os.write(self._fd, view[sent:])
        except BlockingIOError:
            pass
        except OSError as error:
            self.close()
            self._loop.call_soon(self._failed, error)
        return sent

    def _flush(self) -> None:
        sent = self._send(bytes(self._queue[:FLUSH_CHUNK]))
        if self._closed:
            return
        del self._queue[:sent]
        if not self._queue:
            self._loop.remove_writer(self._fd)
            self._finish_drain()
        if self._starved and len(self._queue) <= OUTPUT_LIMIT // 2:
            self._starved = False
            self._writable()

    def _finish_drain(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)


class DescriptorLine:
    """A connection made of a descriptor to read and one to write; either may be missing (or both be the same)."""

    def __init__(
        self,
        read_fd: int | None,
        write_fd: int | None,
        hung_up: Callable[[OSError | None], None],
        *,
        ends_with_input: bool = False,
    ) -> None:
        """`hung_up` is called when nobody is at the other end any more, with what writing to it failed with.

        The end of the input alone is none of the line, unless `ends_with_input`: who has no more to say may still be
        listening (`varan ... </dev/null` shows the guest's output).
        """
        self._frontend: Frontend | None = None
        self._hung_up = hung_up
        self._ends_with_input = ends_with_input
        self._stopped = False
        self._paused = False
        self._reader = None if read_fd is None else Reader(read_fd, self._receive, self._input_ended)
        self._writer = None if write_fd is None else Writer(write_fd, self._writable, self._output_failed)

    def start(self, frontend: Frontend) -> None:
        """See `Line.start`."""
        self._frontend = frontend
        if not self._paused:
            self.resume_input()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """See `Pipe.write`."""
        return len(data) if self._writer is None else self._writer.write(data)

    def close(self) -> None:
        """What a descriptor leads to stays: terminals and files are not ended by who uses them."""

    def pause_input(self) -> None:
        """See `Pipe.pause_input`."""
        self._paused = True
        if self._reader is not None:
            self._reader.pause()

    def resume_input(self) -> None:
        """See `Pipe.resume_input`."""
        self._paused = False
        if self._reader is not None and self._frontend is not None:
            self._reader.resume()

    async def drain(self) -> None:
        """Give the reader a moment to take what is queued."""
        if self._writer is not None:
            await self._writer.drain(FLUSH_SECONDS)

    def stop(self) -> None:
        """Read and write no more; the descriptors may be closed then."""
        self._stopped = True
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.close()

    def _receive(self, data: bytes) -> None:
        if self._frontend is not None:
            self._frontend.receive(data)

    def _input_ended(self) -> None:
        if self._ends_with_input and not self._stopped:
            self._hung_up(None)

    def _writable(self) -> None:
        if self._frontend is not None:
            self._frontend.writable()

    def _output_failed(self, error: OSError) -> None:
        if not self._stopped:
            self._hung_up(error)

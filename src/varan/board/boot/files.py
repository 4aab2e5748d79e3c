"""Host files that go into guest memory: opened once, copied at every reset straight from the page cache.

A descriptor and `preadv` rather than a mapping: a file that somebody cuts short later gives an error instead of
SIGBUS.
"""

from __future__ import annotations

import os
import stat
import weakref

from varan.board.boot.base import BootError
from varan.core.memory import MemorySpace


class BootFile:
    """A regular file, open for reading as long as the object lives. `size` is its length in bytes when opened."""

    def __init__(self, path: str, what: str) -> None:
        """Open `path`; `what` ("kernel", "initrd"...) names it in messages. Raises BootError."""
        self.path = path
        self.what = what
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            raise BootError(f"could not open {what} '{path}': {_reason(error)}") from None
        weakref.finalize(self, os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BootError(f"{what} '{path}' is not a regular file")
        self.size = status.st_size

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`, fewer only at the end. Raises BootError."""
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise BootError(f"could not read {self.what} '{self.path}': {_reason(error)}") from None

    def copy(self, memory: MemorySpace, address: int, offset: int, length: int) -> None:
        """Put `length` bytes from `offset` into guest RAM at `address`. Raises BootError."""
        if length == 0:
            return
        target = memory.ram_slice(address, length)
        if target is None:
            raise BootError(f"the board has no memory at {address:#x} for {length} bytes of '{self.path}'")
        with target:  # a failure's traceback must not keep the guest's memory open
            self._fill(target, offset)
        memory.ram_written(address, length)

    def _fill(self, target: memoryview, offset: int) -> None:
        done = 0
        while done < len(target):
            try:
                with target[done:] as rest:
                    count = os.preadv(self._descriptor, [rest], offset + done)
            except OSError as error:
                raise BootError(f"could not read {self.what} '{self.path}': {_reason(error)}") from None
            if count == 0:
                raise BootError(f"{self.what} '{self.path}' was cut short while the machine was using it")
            done += count


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)

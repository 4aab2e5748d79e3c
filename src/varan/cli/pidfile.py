"""The pid file: the process's number in a file that is locked while the process lives and removed at its end."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from varan.errors import VaranError


@contextlib.contextmanager
def held(path: str | None) -> Iterator[None]:
    """Keep the pid file `path` (None: none) while the context lasts.

    Raises VaranError when it cannot be made, or another process holds it.
    """
    if path is None:
        yield
        return
    path = os.path.abspath(path)
    descriptor = _acquire(path)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(path)
        os.close(descriptor)


def _acquire(path: str) -> int:
    """A locked descriptor of the file that bears the name; starts over when its last owner removed it meanwhile."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise VaranError(f"cannot create PID file: could not create '{path}': {error.strerror}") from error
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_named(descriptor, path):
                return descriptor
            os.close(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise VaranError(f"cannot create PID file: another process holds '{path}'") from error


def _is_named(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False

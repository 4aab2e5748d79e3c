"""Locks on image files that Varan and QEMU both keep, so that neither writes under the other.

Each permission that a process has on an image is a lock on one byte of the file, and each permission that it does not
share with others is a lock on another; who wants a permission makes sure that nobody holds the byte that says it is not
shared, and the reverse. The bytes lie at 100 + bit and 200 + bit. Locks are shared ones of the open file description
(they end with it, and never exclude their owner), so testing for an exclusive one shows whether others hold them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from varan.block.base import BlockError, ErrorKind, Permission
from varan.block.permissions import words
from varan.block.transports.posix import block_error

HELD_BASE = 100
UNSHARED_BASE = 200
_BITS = (Permission.CONSISTENT_READ, Permission.WRITE, Permission.WRITE_UNCHANGED, Permission.RESIZE)
_FLOCK = struct.Struct("hhqqi4x")


def _flock(kind: int, start: int, length: int = 1) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, start, length, 0)


def supported(fd: int) -> bool:
    """Whether the file's file system has locks of open file descriptions."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, 0))
    except OSError:
        return False
    return True


class ImageLock:
    """The locks of one open file."""

    def __init__(self, fd: int, where: str) -> None:
        self._fd = fd
        self._where = where
        self._bytes: frozenset[int] = frozenset()

    def apply(self, wanted: Permission, shared: Permission) -> None:
        """Hold `wanted`, and keep others from what is not in `shared`. Raises BlockError (LOCKED), nothing changed."""
        unshared = Permission.ALL & ~shared
        needed = frozenset(
            [HELD_BASE + bit.bit_length() - 1 for bit in _BITS if bit & wanted]
            + [UNSHARED_BASE + bit.bit_length() - 1 for bit in _BITS if bit & unshared]
        )
        taken: list[int] = []
        try:
            for start in needed - self._bytes:
                self._lock(start)
                taken.append(start)
            self._check(wanted, UNSHARED_BASE, "")
            self._check(unshared, HELD_BASE, "shared ")
        except BlockError:
            self._unlock(taken)
            raise
        self._unlock(self._bytes - needed)
        self._bytes = needed

    def _lock(self, start: int) -> None:
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_RDLCK, start))
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise BlockError(ErrorKind.LOCKED, "another process has the image locked", where=self._where) from None
            raise block_error(error, self._where) from None

    def _unlock(self, starts: frozenset[int] | list[int]) -> None:
        for start in starts:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, start))

    def _check(self, permissions: Permission, base: int, adjective: str) -> None:
        for bit in _BITS:
            if not bit & permissions:
                continue
            answer = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, base + bit.bit_length() - 1))
            if _FLOCK.unpack(answer)[0] != fcntl.F_UNLCK:
                raise BlockError(
                    ErrorKind.LOCKED,
                    f'failed to get {adjective}"{words(bit)}" lock; is another process using the image?',
                    where=self._where,
                )

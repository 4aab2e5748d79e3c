"""Host memory of all kinds for guests: anonymous, of a file, of a memory file; shared, preallocated, bound to nodes.

Everything here raises OSError (OverflowError for a size beyond all bounds) when the host has none of that kind.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import stat
import tempfile
from collections.abc import Iterable

NORESERVE = 0x4000
"""Linux's MAP_NORESERVE: memory that is never touched needs no promise of swap. Python's mmap names it from 3.13 on."""
POPULATE_WRITE = 23
"""Linux's MADV_POPULATE_WRITE (5.14)."""
HUGE_SHIFT = 26
"""Where memfd_create's flags have the logarithm of the page size."""
SYS_MBIND = 237
"""On x86-64."""
POLICIES = {"default": 0, "preferred": 1, "bind": 2, "interleave": 3}
"""Those of NUMA, with their numbers in linux/mempolicy.h."""
STRICT, MOVE = 1, 2
NODE_BITS = 1024


def anonymous(size: int, *, share: bool = False, reserve: bool = False) -> mmap.mmap:
    """Zeros. `reserve`: only what the host can promise."""
    flags = mmap.MAP_ANONYMOUS | (mmap.MAP_SHARED if share else mmap.MAP_PRIVATE)
    return mmap.mmap(-1, size, flags=flags | (0 if reserve else NORESERVE))


def of_descriptor(fd: int, size: int, *, share: bool, reserve: bool) -> mmap.mmap:
    """What an open file has; with `share` it gets what is written."""
    flags = mmap.MAP_SHARED if share else mmap.MAP_PRIVATE
    return mmap.mmap(fd, size, flags=flags | (0 if reserve else NORESERVE))


def open_file(path: str, size: int) -> int:
    """Open or make the file at `path`, or one without a name in the folder there, `size` bytes long.

    Raises ValueError for a file that has another size.
    """
    if os.path.isdir(path):
        with tempfile.TemporaryFile(dir=path) as file:
            fd = os.dup(file.fileno())
    else:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        if 0 < status.st_size < size:
            raise ValueError(f"backing store size {status.st_size:#x} does not match 'size' option {size:#x}")
        if not status.st_size:
            os.ftruncate(fd, size)
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_memory_file(name: str, size: int, *, seal: bool, huge_page: int | None = None) -> int:
    """A file in memory; `seal`: its size cannot change. `huge_page`: size of its pages, 0 for the host's usual one."""
    flags = os.MFD_CLOEXEC | (os.MFD_ALLOW_SEALING if seal else 0)
    if huge_page is not None:
        flags |= os.MFD_HUGETLB | ((huge_page.bit_length() - 1) << HUGE_SHIFT if huge_page else 0)
    fd = os.memfd_create(name, flags)
    try:
        os.ftruncate(fd, size)
        if seal:
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    except BaseException:
        os.close(fd)
        raise
    return fd


def preallocate(mapping: mmap.mmap) -> None:
    """Have the host give every page now. May take long."""
    try:
        mapping.madvise(POPULATE_WRITE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        for at in range(0, len(mapping), mmap.PAGESIZE):
            mapping[at] = mapping[at]


def bind(mapping: mmap.mmap, policy: str, nodes: Iterable[int]) -> None:
    """Have the host take the pages from these NUMA nodes."""
    mask = sum(1 << node for node in set(nodes)).to_bytes(NODE_BITS // 8, "little")
    pin = ctypes.c_char.from_buffer(mapping)
    try:
        syscall = ctypes.CDLL(None, use_errno=True).syscall
        address, length = ctypes.c_void_p(ctypes.addressof(pin)), ctypes.c_ulong(len(mapping))
        if syscall(SYS_MBIND, address, length, POLICIES[policy], mask, NODE_BITS + 1, STRICT | MOVE):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        del pin

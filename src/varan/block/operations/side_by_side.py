"""Comparing two stretches of plain files in threads, none of which waits for another or for the interpreter's lock.

A thread reads the same chunk of both files into buffers of its own, which stay in its processor's cache, and compares
them there.
"""

from __future__ import annotations

import ctypes
import os

from varan.block.base import Node
from varan.block.drive import run_now
from varan.block.memory import aligned
from varan.block.operations.extents import ChainExtent
from varan.block.operations.zeros import first_difference
from varan.block.transports.file import FileNode
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

CHUNK = 512 << 10
MAX_THREADS = 4
SHARE = 2 << 20
"""Bytes for each thread, at least: starting one costs as much as comparing half of that."""

_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]


def plain_file(extent: ChainExtent) -> Node | None:
    """The file that has the extent's bytes as they are from `extent.offset` on, when any thread may read it.

    It must be the layer itself or stand right below it: a filter between them wants to see the requests.
    """
    file = extent.file
    if not isinstance(file, FileNode) or not file.options.inline or file.options.cache_direct:
        return None
    layer = extent.layer
    if layer is file or any(edge.node is file for edge in layer.children.values()):
        return file
    return None


Place = tuple[Node, int]
"""A file that `plain_file` gave, and an offset in it."""


class _Search:
    """What the threads share. Chunks are handed out in order, so the lowest finding is the first one."""

    def __init__(self, one: Place, two: Place, length: int) -> None:
        self._places = one, two
        self._length = length
        self._chunks = iter(range(0, length, CHUNK))
        self._lock: threading.Lock | None = None
        self._found: list[tuple[int, int | BaseException]] = []

    def first(self) -> int | None:
        """Search with several threads; the first difference. Raises what was raised before one was met."""
        count = min(MAX_THREADS, os.cpu_count() or 1, self._length // SHARE)
        if count > 1:
            self._look_together(count)
        else:
            self._look()
        if not self._found:
            return None
        finding = min(self._found, key=lambda found: found[0])[1]
        if isinstance(finding, BaseException):
            raise finding
        return finding

    def _look_together(self, count: int) -> None:
        import threading

        self._lock = threading.Lock()
        threads = [threading.Thread(target=self._look, name="varan-compare") for _ in range(count - 1)]
        try:
            for thread in threads:
                thread.start()
            self._look()
        finally:
            self._chunks = iter(range(0))
            for thread in threads:
                if thread.ident is not None:
                    thread.join()

    def _next(self) -> int | None:
        if self._lock is None:
            return self._step()
        with self._lock:
            return self._step()

    def _step(self) -> int | None:
        return None if self._found else next(self._chunks, None)

    def _look(self) -> None:
        buffers = aligned(CHUNK), aligned(CHUNK)
        addresses = [ctypes.addressof(ctypes.c_char.from_buffer(buffer)) for buffer in buffers]
        while (at := self._next()) is not None:
            size = min(CHUNK, self._length - at)
            try:
                for (node, offset), buffer in zip(self._places, buffers, strict=True):
                    run_now(node.read(offset + at, [memoryview(buffer)[:size]]))
                if _memcmp(*addresses, size):
                    self._found.append((at, at + first_difference(*buffers, size)))
            except BaseException as error:
                self._found.append((at, error))


def first_plain_difference(one: Place, two: Place, length: int) -> int | None:
    """Index of the first byte in which `length` bytes of two files differ. Raises BlockError."""
    return _Search(one, two, length).first()

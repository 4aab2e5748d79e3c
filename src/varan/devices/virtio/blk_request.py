"""One request to a virtio block device (VIRTIO 1.2, 5.2.6): from a chain to what is asked, and back.

Nothing is assumed about how the driver has cut its message into buffers.
"""

from __future__ import annotations

from collections.abc import Sequence

from varan.devices.virtio import blk_layout as b
from varan.devices.virtio.chain import Chain
from varan.devices.virtio.queue import VirtQueue

MOST_MERGED = 1 << 20
"""Bytes up to which requests that follow one another on the disk are made one."""
MOST_BUFFERS = 512


class Refused(Exception):
    """The driver asks for what cannot be; `status` is the answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class BlkRequest:
    """What a driver asks, with the buffers that data goes to or comes from."""

    __slots__ = ("buffers", "chain", "kind", "length", "number", "offset", "queue", "requests", "status", "written")

    def __init__(self, queue: VirtQueue, chain: Chain) -> None:
        self.queue = queue
        self.chain = chain
        self.number = 0
        """In the order of arrival, among those that could not be answered at once."""
        self.kind = -1
        self.offset = 0
        """On the disk, in bytes."""
        self.buffers: list[memoryview] = []
        self.length = 0
        """Bytes of all buffers."""
        self.requests = 1
        """How many of the driver's this one is."""
        self.status = b.S_OK
        self.written = 0
        """Bytes that the device put into the writable buffers, the status left out."""

    def parse(self) -> bool:
        """Read the chain; False for one that has no header or no place for the status."""
        chain = self.chain
        if not chain.readable or not chain.writable:
            return False
        header = chain.readable[0]
        if len(header) < b.HEADER.size:
            whole = chain.gather(b.HEADER.size)
            if len(whole) < b.HEADER.size:
                return False
            self.kind, _, sector = b.HEADER.unpack(whole)
        else:
            self.kind, _, sector = b.HEADER.unpack_from(header)
        self.offset = sector * b.SECTOR
        if self.kind in (b.T_IN, b.T_GET_ID):
            self.buffers = _without_last_byte(chain.writable)
        else:
            self.buffers = _behind(chain.readable, b.HEADER.size)
        self.length = sum(map(len, self.buffers))
        return True

    def answer(self) -> None:
        """Put the status where the driver looks for it, and give the chain back."""
        chain = self.chain
        chain.writable[-1][-1] = self.status
        whole = sum(map(len, chain.writable))
        # The status is the last byte: it counts where it comes right behind what was written (2.7.8.2).
        written = whole if self.written == whole - 1 else self.written
        self.queue.push(chain, written, touched=whole)


def _without_last_byte(views: Sequence[memoryview]) -> list[memoryview]:
    last = views[-1]
    return [*views[:-1], last[:-1]] if len(last) > 1 else list(views[:-1])


def _behind(views: Sequence[memoryview], count: int) -> list[memoryview]:
    if len(views[0]) == count:
        return list(views[1:])
    found = []
    for view in views:
        if count < len(view):
            found.append(view[count:] if count else view)
        count = max(count - len(view), 0)
    return found


def merge(requests: Sequence[BlkRequest]) -> list[list[BlkRequest]]:
    """Runs of reads, or of writes, that follow one another in time and on the disk."""
    runs: list[list[BlkRequest]] = []
    length = buffers = 0
    for request in requests:
        last = runs[-1][-1] if runs else None
        length += request.length
        buffers += len(request.buffers)
        if (
            last is not None
            and request.kind == last.kind
            and request.kind in (b.T_IN, b.T_OUT)
            and request.offset == last.offset + last.length
            and length <= MOST_MERGED
            and buffers <= MOST_BUFFERS
        ):
            runs[-1].append(request)
        else:
            runs.append([request])
            length, buffers = request.length, len(request.buffers)
    return runs

"""The virtio block device (VIRTIO 1.2, 5.2).

The doorbell takes what the driver has made available, on the vCPU's thread or, where the disk has one, on its I/O
thread. A transfer between guest memory and the host's page cache is done there and then, which spares the guest the way
through the loop and back; everything else goes to the loop, which runs requests side by side, straight from and into
guest memory, and gives back together what is done together.

A request that fails and that the back end's policy does not let go is kept, and so is everything that comes behind it,
until the guest goes on: then all of it is begun anew, in the order in which it came.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from varan.api.values import BlockErrorAction
from varan.block import drive
from varan.block.backend import BlockBackend
from varan.block.base import BlockError, ErrorKind
from varan.block.statistics import Kind
from varan.core.memory import MemorySpace
from varan.devices.virtio import blk_layout as b
from varan.devices.virtio.blk_request import BlkRequest, Refused, merge
from varan.devices.virtio.device import VirtioDevice, VirtioState
from varan.devices.virtio.features import DEFAULT
from varan.devices.virtio.queue import VirtQueue

log = logging.getLogger("varan.virtio")

MOST_INLINE = 2 << 20
"""Bytes up to which a transfer is done on the vCPU's thread."""


class BlkState(VirtioState, kw_only=True):
    """The driver's setting beside what all devices have."""

    writeback: bool = True
    """Whether completed writes may wait for a flush."""


class VirtioBlk(VirtioDevice[BlkState]):
    """See the module's text."""

    device_number = 2
    state_type = BlkState

    def __init__(
        self,
        memory: MemorySpace,
        backend: BlockBackend,
        *,
        lock: threading.RLock,
        post: Callable[[Callable[[], None]], None],
        shape: b.DiskShape,
        serial: str = "",
        features: int = DEFAULT,
        queues: int = 1,
        queue_size: int = 256,
        seg_max: int = 0,
        discard_granularity: int = b.SECTOR,
        most_discarded: int = b.MOST_SECTORS,
        most_zeroed: int = b.MOST_SECTORS,
        merging: bool = True,
        elsewhere: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """`post` runs something on the loop of the back end's graph, `elsewhere` on the thread that is to take requests
        from the queues, where that is not to be the thread of whoever rings. `features` are those of the queues, and
        the block device's that an option can take away (F_DISCARD, F_WRITE_ZEROES, F_CONFIG_WCE).
        `most_discarded` and `most_zeroed` are in sectors. `merging`: neighbours are done as one request."""
        self._backend = backend
        self._lock = lock
        self._post = post
        self._shape = shape
        self._serial = serial.encode()[: b.ID_BYTES]
        self._seg_max = seg_max or queue_size - 2
        self._granularity = max(discard_granularity, shape.logical_block)
        self._most_discarded, self._most_zeroed = most_discarded, most_zeroed
        self._merging = merging
        self._elsewhere = elsewhere
        self._called: set[VirtQueue] = set()
        """Queues that the other thread will look into."""
        self.inline = True
        """Whether transfers that need not wait are done on the vCPU's thread."""
        self._todo: list[BlkRequest] = []
        self._kept: list[BlkRequest] = []
        """They failed, or would have been begun behind one that did."""
        self._holding = False
        """Nothing is begun until the guest goes on."""
        self._arrived = 0
        self._done: list[BlkRequest] = []
        self._posted = self._batching = False
        features |= b.F_SEG_MAX | b.F_GEOMETRY | b.F_BLK_SIZE | b.F_FLUSH | b.F_TOPOLOGY
        if backend.read_only:
            features = features & ~(b.F_DISCARD | b.F_WRITE_ZEROES) | b.F_RO
        if queues > 1:
            features |= b.F_MQ
        super().__init__(memory, [queue_size] * queues, features)
        self.stopped()
        backend.try_again, backend.on_resize = self.try_again, self.resized

    # What the driver sees

    def config(self) -> bytes:
        return b.pack_config(
            self._shape,
            self._backend.length,
            most_buffers=self._seg_max,
            queues=len(self.queues),
            writeback=self.state.writeback,
            discard_granularity=self._granularity,
            most_discarded=self._most_discarded,
            most_zeroed=self._most_zeroed,
        )

    def write_config(self, offset: int, data: bytes) -> None:
        at = b.WRITEBACK_OFFSET - offset
        if self.features & b.F_CONFIG_WCE and 0 <= at < len(data):
            self.state.writeback = bool(data[at])

    def driver_ready(self) -> None:
        # Without a way to flush, what has completed must be safe (5.2.6.2).
        if not self.features & (b.F_FLUSH | b.F_CONFIG_WCE):
            self.state.writeback = False
        for queue in self.queues:
            if queue.available():
                self.handle_queue(queue)

    def stopped(self) -> None:
        self.state.writeback = self._backend.writeback
        self._holding = False
        forgotten = self._kept + self._todo
        self._kept, self._todo = [], []
        for request in forgotten:
            # Its chain uses guest memory no more.
            request.queue.push(request.chain, 0)

    def restored(self) -> None:
        # What a saved device had under way belongs to a guest that does not run yet.
        self._holding = self.running
        super().restored()

    def try_again(self) -> None:
        """The guest goes on: begin what was kept."""
        with self._lock:
            self._holding = False
            kept = sorted(self._kept, key=lambda request: request.number)
            self._kept = []
            self._todo[:0] = [request for request in kept if not self._orphaned(request)]
            self._serve_soon()

    def resized(self) -> None:
        """The medium has another size: tell the driver."""
        with self._lock:
            self.announce_config()

    # On the vCPU's thread, or on an I/O thread

    def handle_queue(self, queue: VirtQueue) -> None:
        if self._elsewhere is None:
            self._take(queue)
        elif queue not in self._called:
            self._called.add(queue)
            self._elsewhere(lambda: self._take_called(queue))

    def _take_called(self, queue: VirtQueue) -> None:
        with self._lock:
            self._called.discard(queue)
            if queue.state.enabled and not self.state.broken:
                self._take(queue)

    def _take(self, queue: VirtQueue) -> None:
        todo = self._todo
        # A driver on another vCPU could go on for ever while this one answers.
        patience = queue.state.size
        for chain in queue.chains():
            request = BlkRequest(queue, chain)
            patience -= 1
            if not request.parse():
                self.drop(chain, "a request without header or status")
            elif patience < 0 or self._holding or not self._answered(request):
                self._arrived += 1
                request.number = self._arrived
                todo.append(request)
        queue.notify()
        self._serve_soon()

    def _serve_soon(self) -> None:
        if self._todo and not self._posted and not self._holding:
            self._posted = True
            self._post(self._serve)

    def _answered(self, request: BlkRequest) -> bool:
        """Whether the request could be answered at once."""
        if request.kind in (b.T_IN, b.T_OUT):
            if not self.inline or request.length > MOST_INLINE or not self._aligned(request):
                return False
            if request.kind == b.T_OUT:
                if not self.state.writeback or not self._backend.write_now(request.offset, request.buffers):
                    return False
            elif not self._backend.read_now(request.offset, request.buffers):
                return False
            else:
                request.written = request.length
        elif request.kind == b.T_GET_ID:
            request.written = min(request.length, b.ID_BYTES)
            request.chain.scatter(self._serial.ljust(b.ID_BYTES, b"\0")[: request.written])
        elif request.kind in _WORK:
            return False
        else:
            request.status = b.S_UNSUPP
        request.answer()
        return True

    # On the loop

    def _serve(self) -> None:
        with self._lock:
            self._posted = False
            if self._holding:
                return
            todo, self._todo = self._todo, []
        self._batching = True
        for run in merge(todo) if self._merging else [[request] for request in todo]:
            drive.start(self._perform(run))
        self._batching = False
        self._answer()

    async def _perform(self, run: list[BlkRequest]) -> None:
        if not self._holding and len(run) > 1 and await self._done_together(run):
            self._done += run
        else:
            for request in run:
                if not self._holding and await self._attempt(request):
                    self._done.append(request)
                else:
                    self._keep(request)
        if not self._batching:
            self._answer()

    async def _done_together(self, run: Sequence[BlkRequest]) -> bool:
        """Whether the run went well as one request. If not, each on its own shows what is wrong."""
        joined = _joined(run)
        try:
            await _WORK[joined.kind](self, joined)
        except (BlockError, Refused):
            return False
        for request in run:
            request.written = request.length if request.kind == b.T_IN else 0
        return True

    async def _attempt(self, request: BlkRequest) -> bool:
        """Whether the request is over; False: it is to be tried again."""
        try:
            await _WORK[request.kind](self, request)
        except Refused as refused:
            request.status = refused.status
        except BlockError as error:
            return self._given_up(request, error)
        except Exception:
            # The guest waits for an answer, whatever is wrong with the host.
            log.exception("a request to drive '%s' failed", self._backend.name)
            request.status = b.S_IOERR
        return True

    def _given_up(self, request: BlkRequest, error: BlockError) -> bool:
        """Whether the policy lets the request end, with the answer that it says."""
        if error.kind is ErrorKind.UNSUPPORTED and request.kind in (b.T_DISCARD, b.T_WRITE_ZEROES):
            request.status = b.S_UNSUPP
            return True
        is_read = request.kind == b.T_IN
        action = self._backend.decide(error, is_read=is_read)
        if action is BlockErrorAction.STOP:
            self._holding = True
            return False
        if action is BlockErrorAction.REPORT:
            request.status = b.S_IOERR
        elif is_read:
            request.written = request.length
        return True

    def _keep(self, request: BlkRequest) -> None:
        with self._lock:
            if not self._orphaned(request):
                self._kept.append(request)

    def _orphaned(self, request: BlkRequest) -> bool:
        """Whether the driver has reset the device since: then nobody waits for the request, and it is let go."""
        if request.queue.owns(request.chain):
            return False
        request.queue.push(request.chain, 0)
        return True

    def _answer(self) -> None:
        if not self._done:
            return
        with self._lock:
            done, self._done = self._done, []
            queues = {request.queue: None for request in done}
            for request in done:
                request.answer()
            for queue in queues:
                queue.notify()

    async def _read(self, request: BlkRequest) -> None:
        self._check(request)
        await self._backend.read(request.offset, request.buffers, requests=request.requests)
        request.written = request.length

    async def _write(self, request: BlkRequest) -> None:
        self._check(request)
        stable = not self.state.writeback
        await self._backend.write(request.offset, request.buffers, stable=stable, requests=request.requests)

    async def _flush(self, request: BlkRequest) -> None:
        await self._backend.flush()

    async def _segments(self, request: BlkRequest) -> None:
        """Discard and write zeroes: the same list of segments."""
        data = request.chain.gather(b.HEADER.size + (b.MOST_SEGMENTS + 1) * b.SEGMENT.size)[b.HEADER.size :]
        if (
            self._backend.read_only
            or not data
            or len(data) % b.SEGMENT.size
            or len(data) > b.MOST_SEGMENTS * b.SEGMENT.size
        ):
            raise Refused(b.S_IOERR)
        zeroes = request.kind == b.T_WRITE_ZEROES
        for sector, count, flags in b.SEGMENT.iter_unpack(data):
            if flags & ~(b.SEGMENT_UNMAP if zeroes else 0):
                raise Refused(b.S_UNSUPP)
            offset, length = sector * b.SECTOR, count * b.SECTOR
            if count > (self._most_zeroed if zeroes else self._most_discarded) or not self._within(offset, length):
                self._backend.statistics.invalid(Kind.WRITE if zeroes else Kind.UNMAP)
                raise Refused(b.S_IOERR)
            if zeroes:
                unmap, stable = bool(flags & b.SEGMENT_UNMAP), not self.state.writeback
                await self._backend.write_zeroes(offset, length, unmap=unmap, stable=stable)
            else:
                await self._backend.discard(offset, length)

    def _aligned(self, request: BlkRequest) -> bool:
        return not (request.offset | request.length) & (self._shape.logical_block - 1)

    def _check(self, request: BlkRequest) -> None:
        """Raises Refused for what the disk does not have, or does not take."""
        writes = request.kind == b.T_OUT
        whole = self._aligned(request) and self._within(request.offset, request.length)
        if not whole or (writes and self._backend.read_only):
            if request.requests == 1:
                self._backend.statistics.invalid(Kind.WRITE if writes else Kind.READ)
            raise Refused(b.S_IOERR)

    def _within(self, offset: int, length: int) -> bool:
        return offset + length <= self._backend.length


_WORK: dict[int, Callable[[VirtioBlk, BlkRequest], Coroutine[Any, Any, None]]] = {
    b.T_IN: VirtioBlk._read,
    b.T_OUT: VirtioBlk._write,
    b.T_FLUSH: VirtioBlk._flush,
    b.T_DISCARD: VirtioBlk._segments,
    b.T_WRITE_ZEROES: VirtioBlk._segments,
}


def _joined(run: Sequence[BlkRequest]) -> BlkRequest:
    """One request for the whole run."""
    joined = BlkRequest(run[0].queue, run[0].chain)
    joined.kind, joined.offset = run[0].kind, run[0].offset
    joined.buffers = [buffer for request in run for buffer in request.buffers]
    joined.length = sum(request.length for request in run)
    joined.requests = len(run)
    return joined

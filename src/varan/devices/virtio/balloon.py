"""The traditional memory balloon (VIRTIO 1.2, 5.5): the guest gives pages up, and gets them back.

Pages in the balloon, and free ones that the driver reports, go back to the host; they read as zero when the guest uses
them again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

from msgspec import Meta, field

from varan.core.clock import NANOSECONDS, Clock, TimerQueue
from varan.core.memory import MemorySpace
from varan.devices.virtio.chain import Chain
from varan.devices.virtio.device import VirtioDevice, VirtioState
from varan.devices.virtio.features import DEFAULT
from varan.devices.virtio.queue import VirtQueue

F_STATS_VQ = 1 << 1
F_DEFLATE_ON_OOM = 1 << 2
F_PAGE_POISON = 1 << 4
F_PAGE_REPORTING = 1 << 5

INFLATE, DEFLATE, STATISTICS, REPORTING = range(4)
"""Queues; the last one only with F_PAGE_REPORTING. There is no queue for hints of free pages."""
QUEUE_SIZE = 128
REPORTING_QUEUE_SIZE = 32
PAGE_SHIFT = 12
PAGE = 1 << PAGE_SHIFT
MOST_PAGES = 1 << 14
"""Page numbers in one chain; drivers have up to 256."""
MOST_STATISTICS = 64

CONFIG = struct.Struct("<IIII")
"""num_pages, actual, free_page_hint_cmd_id, poison_val."""
ACTUAL_OFFSET, POISON_OFFSET = 4, 12
STATISTIC = struct.Struct("<HQ")

Pages = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
Value = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class BalloonState(VirtioState, kw_only=True):
    """Sizes in pages of 4 KiB, and what the driver said last about the guest's memory."""

    target: Pages = 0
    """What the balloon should have."""
    actual: Pages = 0
    poison: Pages = 0
    """What the guest fills free pages with (F_PAGE_POISON)."""
    statistics: Annotated[dict[str, Value], Meta(max_length=MOST_STATISTICS)] = field(default_factory=dict)
    """Values by tag, a number in decimal; -1 for one that the guest does not know."""
    last_update: Annotated[int, Meta(ge=0)] = 0
    """When the statistics came, in seconds since the epoch; 0: never."""


class VirtioBalloon(VirtioDevice[BalloonState]):
    """See the module's text. `changed(actual)` tells of another size of the balloon."""

    device_number = 5
    state_type = BalloonState

    def __init__(
        self,
        memory: MemorySpace,
        clock: Clock,
        timers: TimerQueue,
        host: Clock,
        changed: Callable[[int], None],
        *,
        features: int = DEFAULT,
    ) -> None:
        """`features`: beside the queues' those that may be missing (F_DEFLATE_ON_OOM, F_PAGE_POISON,
        F_PAGE_REPORTING). `host`: when statistics came is told by this clock."""
        self._memory = memory
        self._clock = clock
        self._host = host
        self._timer = timers.timer(clock, self._poll, "balloon-statistics")
        self._changed = changed
        self.interval = 0
        """Seconds between questions for statistics, 0 to ask no more. Not the machine's state, but a user's wish."""
        self._statistics_buffer: Chain | None = None
        sizes = [QUEUE_SIZE] * 3 + [REPORTING_QUEUE_SIZE] * bool(features & F_PAGE_REPORTING)
        super().__init__(memory, sizes, features | F_STATS_VQ)

    # Configuration

    def config(self) -> bytes:
        state = self.state
        return CONFIG.pack(state.target, state.actual, 0, state.poison)

    def write_config(self, offset: int, data: bytes) -> None:
        content = bytearray(self.config())
        end = min(offset + len(data), len(content))
        content[offset:end] = data[: max(end - offset, 0)]
        before = self.state.actual
        _, self.state.actual, _, poison = CONFIG.unpack(content)
        if self.features & F_PAGE_POISON:
            self.state.poison = poison
        if self.state.actual != before:
            self._changed(self.state.actual)

    def set_target(self, pages: int) -> None:
        """Ask the driver for a balloon of that size."""
        if pages != self.state.target:
            self.state.target = pages
            self.announce_config()

    # Queues

    def handle_queue(self, queue: VirtQueue) -> None:
        if queue.index == STATISTICS:
            self._take_statistics(queue)
            return
        for chain in queue.chains():
            if queue.index == INFLATE:
                if not self._inflate(chain):
                    return
            elif queue.index == REPORTING:
                self._report(chain)
            queue.push(chain, 0)
        queue.notify()

    def driver_ready(self) -> None:
        for queue in self.queues:
            if queue.available():
                self.handle_queue(queue)

    def _inflate(self, chain: Chain) -> bool:
        if chain.total > 4 * MOST_PAGES:
            self.fail(f"a balloon of {chain.total} bytes of page numbers at once")
            return False
        data = chain.gather(4 * MOST_PAGES)
        numbers = (number for (number,) in struct.iter_unpack("<I", data[: len(data) & ~3]))
        for first, count in _runs(numbers):
            self._memory.discard_ram(first << PAGE_SHIFT, count << PAGE_SHIFT)
        return True

    def _report(self, chain: Chain) -> None:
        """Free pages, whole ones of the buffers (5.5.6.5). Poisoned ones must keep what is in them."""
        if self.features & F_PAGE_POISON and self.state.poison:
            return
        for address, length in chain.writable_ranges:
            first, end = -(-address // PAGE), (address + length) // PAGE
            if first < end:
                self._memory.discard_ram(first << PAGE_SHIFT, end - first << PAGE_SHIFT)

    # Statistics (5.5.6.3): the driver's buffer is kept until the next ones are wanted, which giving it back says.

    @property
    def statistics(self) -> dict[int, int]:
        """The last known values by tag."""
        return {int(tag): value for tag, value in self.state.statistics.items()}

    def set_interval(self, seconds: int) -> None:
        """Ask for statistics that often from now on; 0 for no more."""
        self.interval = seconds
        if seconds:
            self._timer.arm(self._clock.now() + seconds * NANOSECONDS)
        else:
            self._timer.cancel()

    def _take_statistics(self, queue: VirtQueue) -> None:
        for chain in queue.chains():
            if self._statistics_buffer is not None:
                queue.push(self._statistics_buffer, 0)
                queue.notify()
            self._statistics_buffer = chain
            data = chain.gather(STATISTIC.size * MOST_STATISTICS)
            whole = data[: len(data) // STATISTIC.size * STATISTIC.size]
            if whole:
                values = {str(tag): _signed(value) for tag, value in STATISTIC.iter_unpack(whole)}
                self.state.statistics = values
                self.state.last_update = self._host.now() // NANOSECONDS

    def _poll(self) -> None:
        self._timer.arm(self._clock.now() + self.interval * NANOSECONDS)
        chain, self._statistics_buffer = self._statistics_buffer, None
        if chain is not None:
            queue = self.queues[STATISTICS]
            queue.push(chain, 0)
            queue.notify()

    # Reset and load

    def reset(self) -> None:
        target = self.state.target
        super().reset()
        # What users want of it outlives a reset of the device; a guest that starts anew has all its memory.
        self.state.target = target

    def restored(self) -> None:
        if self._statistics_buffer is not None:
            self.queues[STATISTICS].push(self._statistics_buffer, 0)
            self._statistics_buffer = None
        super().restored()

    def forget_memory(self) -> None:
        self._statistics_buffer = None
        super().forget_memory()

    def close(self) -> None:
        """No more timers."""
        self._timer.cancel()


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(first, count) of runs of numbers, each one once."""
    start = end = -1
    for number in sorted(set(numbers)):
        if number != end:
            if end > start:
                yield start, end - start
            start = number
        end = number + 1
    if end > start:
        yield start, end - start

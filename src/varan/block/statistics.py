"""What a back end counts of the requests that its device has made.

Times are nanoseconds of a steady clock, from when the device asked to when it was answered: what a request waits for
limits and for changes of the graph is part of it. Requests end on the loop and on vCPU threads alike, so a lock is held
around each count.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from enum import IntEnum

from varan.block.intervals import Interval
from varan.light import field, record


class Kind(IntEnum):
    """What a request does."""

    READ = 0
    WRITE = 1
    """Also of zeros."""
    FLUSH = 2
    UNMAP = 3
    """Discards."""


READ, WRITE, FLUSH, UNMAP = Kind
"""Looked up once: members of an enumeration are slow to get at."""


@record(slots=True)
class Tally:
    """The requests of one kind."""

    bytes: int = 0
    operations: int = 0
    """Those that succeeded."""
    nanoseconds: int = 0
    """Of all that ended, side by side or not."""
    merged: int = 0
    """Those that were done as part of another."""
    failed: int = 0
    invalid: int = 0
    """Those that no medium of this size could have done."""


@record(slots=True)
class Histogram:
    """How many requests took how long: `bins[i]` of them less than `boundaries[i]` ns and not less than the one before,
    the last bin those that are in no other."""

    boundaries: list[int]
    bins: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bins = [0] * (len(self.boundaries) + 1)

    def count(self, latency: int) -> None:
        """One more."""
        self.bins[bisect_right(self.boundaries, latency)] += 1


class BlockStatistics:
    """See the module's text. Any thread."""

    def __init__(
        self,
        *,
        account_invalid: bool = True,
        account_failed: bool = True,
        intervals: Sequence[int] = (),
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`intervals`: seconds for which the latest latencies are kept."""
        self.clock = clock
        self.account_invalid = account_invalid
        """Whether an invalid request ends the time in which nothing happens."""
        self.account_failed = account_failed
        """Whether a failed one does, and its time counts."""
        self.tallies = tuple(Tally() for _ in Kind)
        """By kind."""
        self.intervals = [Interval(seconds, clock()) for seconds in intervals]
        self.histograms: dict[Kind, Histogram] = {}
        self._last: int | None = None
        self._lock = threading.Lock()

    @property
    def idle(self) -> int | None:
        """Nanoseconds since a request ended; None before the first."""
        return None if self._last is None else self.clock() - self._last

    def done(self, kind: Kind, length: int, begun: int, requests: int = 1) -> int:
        """As many `requests`, done as one of `length` bytes that began at `begun`, have ended well, at the time that
        it returns."""
        ended = self.clock()
        tally = self.tallies[kind]
        with self._lock:
            self._last = ended
            tally.bytes += length
            if requests == 1:
                tally.operations += 1
                tally.nanoseconds += ended - begun
            else:
                tally.operations += requests
                tally.merged += requests - 1
                tally.nanoseconds += (ended - begun) * requests
            if self.intervals or self.histograms:
                for _ in range(requests):
                    self._note(kind, ended - begun, ended)
        return ended

    def failed(self, kind: Kind, begun: int) -> None:
        """A request has ended badly."""
        ended = self.clock()
        tally = self.tallies[kind]
        with self._lock:
            tally.failed += 1
            if self.account_failed:
                tally.nanoseconds += ended - begun
                self._last = ended
            self._note(kind, ended - begun, ended, timed=self.account_failed)

    def invalid(self, kind: Kind) -> None:
        """A request was turned away."""
        with self._lock:
            self.tallies[kind].invalid += 1
            if self.account_invalid:
                self._last = self.clock()

    def _note(self, kind: Kind, latency: int, now: int, *, timed: bool = True) -> None:
        histogram = self.histograms.get(kind)
        if histogram is not None:
            histogram.count(latency)
        if timed:
            for interval in self.intervals:
                interval.note(kind, latency, now)

    def draw_histogram(self, kind: Kind, boundaries: Sequence[int]) -> None:
        """Count latencies of `kind` between these boundaries (ns, rising) anew."""
        with self._lock:
            self.histograms[kind] = Histogram(list(boundaries))

    def drop_histograms(self) -> None:
        """Count latencies no more."""
        with self._lock:
            self.histograms = {}

    def follow(self, invalid: str, failed: str) -> None:
        """The settings `account-invalid` and `account-failed` of a device: "on", "off" or, as it is, "auto"."""
        if invalid != "auto":
            self.account_invalid = invalid == "on"
        if failed != "auto":
            self.account_failed = failed == "on"

"""Latencies of the recent past: two windows of the same length, half of it apart, so that what is asked at any time is
answered from at least half of it.
"""

from __future__ import annotations

from varan.light import TYPE_CHECKING, field, record

if TYPE_CHECKING:
    from varan.block.statistics import Kind

SECOND = 1_000_000_000


@record(slots=True)
class Recent:
    """Requests that ended in one window (ns)."""

    least: int = 0
    most: int = 0
    total: int = 0
    count: int = 0

    @property
    def average(self) -> int:
        """Rounded down; 0 where there are none."""
        return self.total // self.count if self.count else 0

    def note(self, latency: int) -> None:
        """One more."""
        self.least = min(self.least, latency) if self.count else latency
        self.most = max(self.most, latency)
        self.total += latency
        self.count += 1


@record(slots=True)
class _Window:
    begun: int
    ends: int
    by_kind: dict[Kind, Recent] = field(default_factory=dict)


class Interval:
    """The last `seconds`. Times are nanoseconds of one steady clock."""

    def __init__(self, seconds: int, now: int) -> None:
        self.seconds = seconds
        length = seconds * SECOND
        self._windows = [_Window(now, now + length), _Window(now, now + length // 2)]

    def note(self, kind: Kind, latency: int, now: int) -> None:
        """A request has ended."""
        self._pass(now)
        for window in self._windows:
            window.by_kind.setdefault(kind, Recent()).note(latency)

    def recent(self, kind: Kind, now: int) -> Recent:
        """The requests of the longer window."""
        return self._longer(now).by_kind.get(kind, Recent())

    def depth(self, kind: Kind, now: int) -> float:
        """How many requests of the kind were under way on average."""
        window = self._longer(now)
        elapsed = now - window.begun
        return window.by_kind.get(kind, Recent()).total / elapsed if elapsed > 0 else 0.0

    def _longer(self, now: int) -> _Window:
        self._pass(now)
        return min(self._windows, key=lambda window: window.begun)

    def _pass(self, now: int) -> None:
        length = self.seconds * SECOND
        for index, window in enumerate(self._windows):
            if now >= window.ends:
                # Whole windows may have gone by with nothing in them.
                begun = window.ends + (now - window.ends) // length * length
                self._windows[index] = _Window(begun, begun + length)

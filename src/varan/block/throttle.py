"""Limits on the rate of requests: token buckets, without a clock of their own.

A bucket fills by what requests use and leaks at its rate. With no burst a tenth of a second's worth may be used ahead;
with a burst rate `max` for `burst_length` seconds the bucket holds that much, and a second bucket that leaks at `max`
keeps the burst itself from being faster than that.
"""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind
from varan.light import TYPE_CHECKING, field, record

if TYPE_CHECKING:
    from collections.abc import Mapping

_AHEAD = 0.1
"""Seconds of the rate that may be used at once."""
_NO_TIME = 1e-6
"""Seconds not worth waiting; rounding must not make a request wait for less than the clock can tell, for ever."""
LARGEST = 10**15
"""No limit may be higher: products of it stay exact enough."""

KINDS = ("bps-total", "bps-read", "bps-write", "iops-total", "iops-read", "iops-write")
OLD_NAMES = {
    "bps-total": "bps",
    "bps-read": "bps_rd",
    "bps-write": "bps_wr",
    "iops-total": "iops",
    "iops-read": "iops_rd",
    "iops-write": "iops_wr",
}
"""What `block_set_io_throttle`, `query-block` and `-drive` call them."""


@record(slots=True)
class Bucket:
    """One limit: `rate` units a second (0: none), bursts of `burst` units a second for `burst_length` seconds."""

    rate: float = 0.0
    burst: float = 0.0
    burst_length: int = 1
    level: float = 0.0
    burst_level: float = 0.0

    def leak(self, seconds: float) -> None:
        """Let time pass."""
        self.level = max(self.level - self.rate * seconds, 0.0)
        self.burst_level = max(self.burst_level - self.burst * seconds, 0.0)

    def wait(self) -> float:
        """Seconds until the next request may go."""
        if not self.rate:
            return 0.0
        size = self.burst * self.burst_length if self.burst else self.rate * _AHEAD
        if self.level > size:
            return (self.level - size) / self.rate
        if self.burst and self.burst_length > 1 and self.burst_level > self.burst * _AHEAD:
            return (self.burst_level - self.burst * _AHEAD) / self.burst
        return 0.0

    def use(self, units: float) -> None:
        """A request goes."""
        self.level += units
        if self.burst and self.burst_length > 1:
            self.burst_level += units


@record(slots=True)
class Limits:
    """The six limits of a drive or a group, and how requests are counted for those on operations."""

    buckets: dict[str, Bucket] = field(default_factory=lambda: {kind: Bucket() for kind in KINDS})
    iops_size: int = 0
    """Bytes that count as one operation; longer requests count for more, in proportion. 0: every request is one."""

    @property
    def any(self) -> bool:
        """Whether there is any limit."""
        return any(bucket.rate for bucket in self.buckets.values())


class LimitsError(BlockError):
    """Limits that contradict each other or are out of range."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorKind.INVALID, message)


def parse_limits(options: Mapping[str, int]) -> Limits:
    """The limits from `bps-total`, `bps-total-max`, `bps-total-max-length`... and `iops-size`. Raises LimitsError."""
    known = {f"{kind}{suffix}" for kind in KINDS for suffix in ("", "-max", "-max-length")} | {"iops-size"}
    for name in options:
        if name not in known:
            raise LimitsError(f"there is no limit '{name}'")
    _check_exclusive(options)
    size = options.get("iops-size", 0)
    if size and not any(options.get(kind) for kind in KINDS if kind.startswith("iops")):
        raise LimitsError("iops size requires an iops value to be set")
    if not 0 <= size <= LARGEST:
        raise LimitsError(f"iops size must be within [0, {LARGEST}]")
    return Limits({kind: _bucket(kind, options) for kind in KINDS}, size)


def _check_exclusive(options: Mapping[str, int]) -> None:
    for unit in ("bps", "iops"):
        for suffix in ("", "-max"):
            either = any(options.get(f"{unit}-{way}{suffix}") for way in ("read", "write"))
            if either and options.get(f"{unit}-total{suffix}"):
                raise LimitsError("bps/iops/max total values and read/write values cannot be used at the same time")


def _bucket(kind: str, options: Mapping[str, int]) -> Bucket:
    rate, burst, seconds = options.get(kind, 0), options.get(f"{kind}-max", 0), options.get(f"{kind}-max-length", 1)
    if not 0 <= rate <= LARGEST or not 0 <= burst <= LARGEST:
        raise LimitsError(f"bps/iops/max values must be within [0, {LARGEST}]")
    if seconds < 1:
        raise LimitsError("the burst length cannot be 0")
    if seconds > 1 and not burst:
        raise LimitsError("burst length set without burst rate")
    if burst * seconds > LARGEST:
        raise LimitsError("burst length too high for this burst rate")
    if burst and not rate:
        raise LimitsError("bps_max/iops_max require corresponding bps/iops values")
    if burst and burst < rate:
        raise LimitsError("bps_max/iops_max cannot be lower than bps/iops")
    return Bucket(float(rate), float(burst), seconds)


class Throttle:
    """When requests may go. Times are seconds of any steady clock, given by the caller."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self._before = now

    def change(self, limits: Limits, now: float) -> None:
        """Other limits from now on."""
        self.limits = limits
        self._before = now

    def wait(self, now: float, write: bool) -> float:
        """Seconds until a request may go (0: now)."""
        elapsed = max(now - self._before, 0.0)
        self._before = now
        for bucket in self.limits.buckets.values():
            bucket.leak(elapsed)
        seconds = max(self.limits.buckets[kind].wait() for kind in _kinds(write))
        return seconds if seconds > _NO_TIME else 0.0

    def use(self, size: int, write: bool) -> float:
        """A request of `size` bytes goes; the seconds for which it uses up the limit that it strains most."""
        unit = self.limits.iops_size
        operations = max(size / unit, 1.0) if unit else 1.0
        seconds = 0.0
        for kind in _kinds(write):
            bucket = self.limits.buckets[kind]
            if bucket.rate:
                units = size if kind.startswith("bps") else operations
                bucket.use(units)
                seconds = max(seconds, units / bucket.rate)
        return seconds


def _kinds(write: bool) -> tuple[str, ...]:
    way = "write" if write else "read"
    return ("bps-total", f"bps-{way}", "iops-total", f"iops-{way}")

"""Where a machine's CMOS clock starts: the `-rtc base=` and `clock=` settings as an offset on a clock."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from varan.core.clock import NANOSECONDS
from varan.errors import VaranError

CLOCKS = ("host", "rt", "vm")


@dataclass(frozen=True, slots=True)
class RtcSetting:
    """The clock shows `offset` nanoseconds more than its source: guest virtual time, or the host's wall clock."""

    offset: int = 0
    virtual: bool = False


def rtc_setting(base: str, clock: str, host_now: int, utc_offset: int) -> RtcSetting:
    """The setting for `base` ("utc", "localtime" or a date) and `clock` ("host", "rt" or "vm").

    `host_now` is the host's wall clock in nanoseconds since 1970, `utc_offset` how many seconds local time is ahead of
    UTC. Raises VaranError for a base or clock that is none of these.
    """
    if clock not in CLOCKS:
        raise VaranError(f"rtc: unknown clock '{clock}'; known are {', '.join(CLOCKS)}")
    virtual = clock == "vm"
    if base == "utc":
        start = host_now
    elif base == "localtime":
        start = host_now + utc_offset * NANOSECONDS
    else:
        start = _epoch(base)
    return RtcSetting(start if virtual else start - host_now, virtual)


def _epoch(base: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(base)
    except ValueError:
        raise VaranError(f"rtc: base '{base}' is not utc, localtime or YYYY-MM-DD[THH:MM:SS]") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (since.days * 86_400 + since.seconds) * NANOSECONDS

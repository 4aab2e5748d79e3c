"""Settings of disks that say which requests are counted how (`varan.block.statistics`)."""

from __future__ import annotations

from varan.core.properties import Property

_SWITCH = ("on", "off", "auto")

ACCOUNTING = (
    Property("account-invalid", "OnOffAuto", "invalid requests end idle time", default="auto", choices=_SWITCH),
    Property(
        "account-failed", "OnOffAuto", "failed requests end it and their time counts", default="auto", choices=_SWITCH
    ),
)
"""What `BlockStatistics.follow` takes."""

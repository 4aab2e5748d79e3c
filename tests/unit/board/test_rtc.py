from __future__ import annotations

import pytest

from varan.board.rtc import RtcSetting, rtc_setting
from varan.errors import VaranError

SECOND = 1_000_000_000
NOW = 1_330_000_000 * SECOND


@pytest.mark.parametrize(
    ("base", "clock", "setting"),
    [
        ("utc", "host", RtcSetting(0, False)),
        ("utc", "rt", RtcSetting(0, False)),
        ("utc", "vm", RtcSetting(NOW, True)),
        ("localtime", "host", RtcSetting(3600 * SECOND, False)),
        ("2012-02-28T23:59:57", "vm", RtcSetting(1_330_473_597 * SECOND, True)),
        ("2012-02-28", "host", RtcSetting(1_330_387_200 * SECOND - NOW, False)),
        ("1969-12-31T23:59:59", "vm", RtcSetting(-SECOND, True)),
    ],
)
def test_base_and_clock_become_an_offset(base: str, clock: str, setting: RtcSetting) -> None:
    assert rtc_setting(base, clock, NOW, 3600) == setting


def test_unknown_base_and_clock_are_named() -> None:
    with pytest.raises(VaranError, match="base 'yesterday'"):
        rtc_setting("yesterday", "host", NOW, 0)
    with pytest.raises(VaranError, match="clock 'sun'"):
        rtc_setting("utc", "sun", NOW, 0)

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from varan.devices.timer.calendar import date_from_days, days_from_date, weekday

EPOCH = datetime.date(1970, 1, 1).toordinal()


@given(st.dates())
def test_calendar_agrees_with_datetime(date: datetime.date) -> None:
    days = date.toordinal() - EPOCH
    assert days_from_date(date.year, date.month, date.day) == days
    assert date_from_days(days) == (date.year, date.month, date.day)
    assert weekday(days) == date.isoweekday() % 7 + 1


@given(st.integers(0, 20_000), st.integers(0, 255), st.integers(0, 255))
def test_any_register_values_make_some_date(year: int, month: int, day: int) -> None:
    days = days_from_date(year, month, day)
    assert days_from_date(*date_from_days(days)) == days

"""Days and civil dates of the proleptic Gregorian calendar, for any year a clock chip can hold.

`datetime` refuses what a guest may well write (month 0, day 45, year 0 or 16500), so the arithmetic is done here.
"""

from __future__ import annotations

SECONDS_IN_DAY = 86_400
DAYS_IN_ERA = 146_097
"""Days in 400 years."""
DAYS_TO_EPOCH = 719_468
"""Days from 0000-03-01 to 1970-01-01."""


def days_from_date(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01. A month out of range is brought into it; a day beyond the month's end runs on."""
    month = min(max(month, 1), 12)
    if month <= 2:
        year -= 1
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5
    return (
        era * DAYS_IN_ERA
        + year_of_era * 365
        + year_of_era // 4
        - year_of_era // 100
        + day_of_year
        + day
        - 1
        - DAYS_TO_EPOCH
    )


def date_from_days(days: int) -> tuple[int, int, int]:
    """(year, month, day) of a number of days since 1970-01-01."""
    era, day_of_era = divmod(days + DAYS_TO_EPOCH, DAYS_IN_ERA)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year_of_era + era * 400 + (month <= 2), month, day


def weekday(days: int) -> int:
    """Day of the week of a number of days since 1970-01-01: 1 Sunday to 7 Saturday, as the MC146818 counts."""
    return (days + 4) % 7 + 1

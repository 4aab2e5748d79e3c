from __future__ import annotations

import pytest

from varan.devices.panic.pvpanic import CRASH_LOADED, PANICKED, Pvpanic


def reports(events: int, written: int) -> list[str]:
    made: list[str] = []
    device = Pvpanic(events, lambda: made.append("panicked"), lambda: made.append("crash-loaded"))
    assert device.read(0, 1) == events
    device.write(0, 1, written)
    return made


@pytest.mark.parametrize(
    ("events", "written", "made"),
    [
        (3, PANICKED, ["panicked"]),
        (3, CRASH_LOADED, ["crash-loaded"]),
        (3, PANICKED | CRASH_LOADED, ["panicked"]),
        (3, 0xFC, []),
        (PANICKED, CRASH_LOADED, []),
        (CRASH_LOADED, PANICKED | CRASH_LOADED, ["crash-loaded"]),
        (0, 0xFF, []),
    ],
)
def test_a_report_is_made_when_it_is_among_those_taken(events: int, written: int, made: list[str]) -> None:
    assert reports(events, written) == made

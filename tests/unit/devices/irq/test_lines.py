from __future__ import annotations

from tests.support.bus import Wire

from varan.devices.irq.lines import SharedLine


def test_shared_line_is_high_while_any_output_is() -> None:
    wire = Wire()
    shared = SharedLine(wire, lambda: None)
    (first, _), (second, _) = shared.output(), shared.output()
    first(1)
    second(1)
    first(0)
    assert wire.level == 1
    second(0)
    assert wire.level == 0
    assert wire.rises == 1


def test_shared_line_pulses_only_when_nobody_else_holds_it() -> None:
    pulses: list[int] = []
    shared = SharedLine(Wire(), lambda: pulses.append(1))
    (first, pulse), (second, _) = shared.output(), shared.output()
    first(1)
    pulse()
    assert len(pulses) == 1
    second(1)
    pulse()
    assert len(pulses) == 1

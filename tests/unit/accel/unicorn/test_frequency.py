"""The frequency of a counter, against clocks that the test moves."""

from __future__ import annotations

from varan.accel.unicorn.frequency import Frequency

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


class Host:
    """A monotonic clock, and a counter of `hertz` that starts somewhere."""

    def __init__(self, hertz: int) -> None:
        self.hertz = hertz
        self.now = 5 * SECOND
        self.slept: list[float] = []

    def clock(self) -> int:
        return self.now

    def read(self) -> int:
        return 77 + self.now * self.hertz // SECOND

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += round(seconds * SECOND)

    def frequency(self) -> Frequency:
        return Frequency(self.read, self.clock, self.sleep)


def test_answer_is_the_counter_s_rate() -> None:
    host = Host(2_600_002_150)
    frequency = host.frequency()
    host.now += SECOND
    assert frequency.hertz() == 2_600_002_150
    assert not host.slept


def test_early_question_waits_for_a_millisecond_in_all() -> None:
    host = Host(3_000_000_000)
    frequency = host.frequency()
    host.now += MILLISECOND // 4
    assert abs(frequency.hertz() - 3_000_000_000) < 300_000
    assert host.slept == [0.00075]


def test_answer_is_final_after_a_second() -> None:
    host = Host(1_000_000_000)
    frequency = host.frequency()
    host.now += 2 * SECOND
    assert frequency.hertz() == 1_000_000_000
    host.hertz = 2_000_000_000
    host.now += SECOND
    assert frequency.hertz() == 1_000_000_000


def test_an_interrupted_look_is_not_taken() -> None:
    host = Host(1_000_000_000)
    looks = 0

    def read() -> int:
        nonlocal looks
        looks += 1
        count = host.read()
        host.now += 100 if looks % 16 else 0
        if looks % 3:
            host.now += 5 * MILLISECOND
        return count

    frequency = Frequency(read, host.clock, host.sleep)
    host.now += SECOND
    assert abs(frequency.hertz() - 1_000_000_000) < 1_000

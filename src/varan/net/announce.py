"""Series of announcements: each adapter tells where it is, several times, with growing pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from varan.net.adapter import Adapter


@dataclass(frozen=True, slots=True)
class Schedule:
    """`rounds` announcements; the pauses between them (ms) begin with `initial` and grow by `step` up to `longest`."""

    initial: int
    longest: int
    rounds: int
    step: int

    def pauses(self) -> Iterable[float]:
        """Seconds before each round."""
        for number in range(self.rounds):
            yield 0.0 if number == 0 else min(self.initial + (number - 1) * self.step, self.longest) / 1000


class Announcer:
    """The series that go on, by name. A new one replaces another of its name."""

    def __init__(self) -> None:
        self._series: dict[str, asyncio.Task[None]] = {}

    def begin(self, name: str, schedule: Schedule, adapters: Callable[[], Iterable[Adapter]]) -> None:
        """Start a series; `adapters` gives those that announce themselves in each round."""
        self._end(name)
        if schedule.rounds:
            self._series[name] = asyncio.create_task(self._run(name, schedule, adapters), name=f"announce {name}")

    async def _run(self, name: str, schedule: Schedule, adapters: Callable[[], Iterable[Adapter]]) -> None:
        for pause in schedule.pauses():
            await asyncio.sleep(pause)
            for adapter in adapters():
                adapter.announce()
        if self._series.get(name) is asyncio.current_task():
            del self._series[name]

    def _end(self, name: str) -> None:
        task = self._series.pop(name, None)
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """End every series."""
        for name in list(self._series):
            self._end(name)

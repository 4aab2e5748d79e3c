"""What the measurements share: taking turns, medians, and waiting for a word from a child process."""

from __future__ import annotations

import os
import selectors
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """Two medians of the same work in one run. `better` says which direction is good."""

    work: str
    varan: float
    other: float
    unit: str
    against: str
    goal: str
    better: str = "lower"

    @property
    def ratio(self) -> float:
        """Varan's figure over the other's."""
        return self.varan / self.other


@dataclass(frozen=True)
class Figure:
    """A figure of Varan's alone, with its goal."""

    work: str
    value: float
    unit: str
    goal: str


def in_turns(rounds: int, *subjects: Callable[[], float]) -> list[float]:
    """The median of each subject, measured by taking turns so that noise falls on all alike."""
    samples: list[list[float]] = [[] for _ in subjects]
    for _ in range(rounds):
        for taken, subject in zip(samples, subjects, strict=True):
            taken.append(subject())
    return [statistics.median(taken) for taken in samples]


def seconds_until(command: Sequence[str], word: bytes, limit: float) -> float:
    """Start `command`, wait until its output holds `word`, end it; seconds from start to word.

    Raises TimeoutError after `limit` seconds, RuntimeError when it ends without the word.
    """
    started = time.perf_counter()
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        return _read_until(child, word, started, limit)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _read_until(child: subprocess.Popen[bytes], word: bytes, started: float, limit: float) -> float:
    assert child.stdout is not None
    seen = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(started + limit - time.perf_counter(), 0)):
                raise TimeoutError(f"no {word!r} within {limit} s; last output: {bytes(seen[-500:])!r}")
            data = os.read(child.stdout.fileno(), 65536)
            if not data:
                raise RuntimeError(f"ended without {word!r}: {bytes(seen[-1000:])!r}")
            seen += data
            if word in seen:
                return time.perf_counter() - started

"""A further machine in a running process: time until it could run, and memory before its guest touches any."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import varan
from bench.measure import Figure

COUNT = 20


def resident() -> int:
    """Bytes of this process that are in memory and its own."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no Private_Dirty in smaps_rollup")


async def _further_machines() -> tuple[float, float]:
    machines = []
    first = varan.Machine(accel="unicorn", memory="128M")
    await first.open()
    machines.append(first)
    times: list[float] = []
    before = resident()
    for _ in range(COUNT):
        started = time.perf_counter()
        machine = varan.Machine(accel="unicorn", memory="128M")
        await machine.open()
        times.append(time.perf_counter() - started)
        machines.append(machine)
    memory = (resident() - before) / COUNT
    for machine in machines:
        await machine.close()
    return statistics.median(times), memory


def measure() -> list[Figure]:
    """Time and memory of a further machine."""
    seconds, memory = asyncio.run(_further_machines())
    return [
        Figure("a further machine in a running process", seconds * 1e3, "ms", "at most 3 ms"),
        Figure("its memory before its guest runs", memory / (1 << 20), "MiB", "at most 2 MiB"),
    ]

"""QMP round trips: our server against QEMU's with one raw client, our client against `qemu.qmp` on one server.

`python bench/qmp.py` prints the figures as JSON. The raw client is a blocking socket in a process of its own. All is
measured twice: with client and server wherever the scheduler puts them, where waking an idle CPU may weigh as much as
the work, and with both held on one CPU, where only the work counts.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.measure import Comparison, in_turns

QUERY = b'{"execute":"query-status"}\n'
ROUND_TRIPS = 3000
LIMIT = 30.0
MACHINE = ["-machine", "none", "-nodefaults", "-display", "none"]

RAW_CLIENT = """
import socket, sys, time
path, count, query = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode() + b"\\n"
connection = socket.socket(socket.AF_UNIX)
connection.connect(path)
connection.recv(65536)
connection.sendall(b'{"execute":"qmp_capabilities"}\\n')
connection.recv(65536)
send, receive = connection.sendall, connection.recv
for _ in range(count // 10):
    send(query); receive(65536)
started = time.perf_counter()
for _ in range(count):
    send(query); receive(65536)
print(count / (time.perf_counter() - started))
"""

OUR_CLIENT = """
import asyncio, sys, time
import varan
async def main(path, count):
    async with varan.connect(path) as qmp:
        for _ in range(count // 10):
            await qmp.execute("query-status")
        started = time.perf_counter()
        for _ in range(count):
            await qmp.execute("query-status")
        print(count / (time.perf_counter() - started))
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""

QEMU_CLIENT = """
import asyncio, sys, time
from qemu.qmp import QMPClient
async def main(path, count):
    qmp = QMPClient("bench")
    await qmp.connect(path)
    for _ in range(count // 10):
        await qmp.execute("query-status")
    started = time.perf_counter()
    for _ in range(count):
        await qmp.execute("query-status")
    print(count / (time.perf_counter() - started))
    await qmp.disconnect()
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@contextmanager
def server(command: Sequence[str], path: Path, cpu: int | None) -> Iterator[None]:
    """A process that listens at `path`, held on `cpu` if given."""
    child = subprocess.Popen([*pinned(cpu), *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + LIMIT
        while not _listening(path):
            if child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not listen")
            time.sleep(0.02)
        yield
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def _listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def pinned(cpu: int | None) -> list[str]:
    """The words before a command that hold it on a CPU."""
    return [] if cpu is None else ["taskset", "--cpu-list", str(cpu)]


def rate(script: str, path: Path, cpu: int | None, count: int = ROUND_TRIPS) -> Callable[[], float]:
    """A subject for `in_turns`: round trips per second of a client script, in a process of its own."""
    command = [*pinned(cpu), sys.executable, "-c", script, str(path), str(count), QUERY.decode().strip()]

    def run() -> float:
        return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT).stdout)

    return run


def measure(rounds: int = 9) -> list[Comparison]:
    """Both comparisons."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for cpu, where in ((None, ""), (max(os.sched_getaffinity(0)), ", on one CPU")):
            found += _compare(Path(folder), rounds, cpu, where)
    return found


def _compare(folder: Path, rounds: int, cpu: int | None, where: str) -> list[Comparison]:
    ours, theirs = folder / f"varan{cpu}.sock", folder / f"qemu{cpu}.sock"
    varan = Path(sys.executable).with_name("varan-system-x86_64")
    qemu = ["qemu-system-x86_64", *MACHINE, "-qmp", f"unix:{theirs},server=on,wait=off"]
    with ExitStack() as stack:
        stack.enter_context(server([str(varan), *MACHINE, "-qmp", f"unix:{ours},server=on,wait=off"], ours, cpu))
        stack.enter_context(server(qemu, theirs, cpu))
        served, served_qemu = in_turns(rounds, rate(RAW_CLIENT, ours, cpu), rate(RAW_CLIENT, theirs, cpu))
        called, called_qemu = in_turns(rounds, rate(OUR_CLIENT, ours, cpu), rate(QEMU_CLIENT, ours, cpu))
    return [
        Comparison(f"QMP server{where}", served, served_qemu, "round trips/s", "QEMU 7.2", "at least 3x", "higher"),
        Comparison(f"QMP client{where}", called, called_qemu, "round trips/s", "qemu.qmp", "at least 3x", "higher"),
    ]


def main() -> None:
    """Print what `measure` finds."""
    rows = [
        {
            "work": found.work,
            "varan": round(found.varan),
            "other": round(found.other),
            "against": found.against,
            "unit": found.unit,
            "ratio": round(found.ratio, 2),
            "goal": found.goal,
        }
        for found in measure()
    ]
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()

"""Block jobs against QEMU's on the same files, in machines whose guest stands still."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import varan.qmp.blocking as qmp
from bench.measure import Comparison, in_turns

MIB = 1 << 20
COPY = {"device": "d0", "target": "copy.qcow2", "sync": "full", "format": "qcow2"}
WORK: dict[str, tuple[str, str, dict[str, Any]]] = {
    "stream": ("over.qcow2", "block-stream", {"device": "d0"}),
    "commit": ("full.qcow2", "block-commit", {"device": "d0"}),
    "mirror": ("over.qcow2", "drive-mirror", COPY),
    "backup": ("over.qcow2", "drive-backup", COPY),
}
"""By name: the disk's image, the command and its arguments."""


def measure(rounds: int = 5, size: int = 1024 * MIB) -> list[Comparison]:
    """A row for each job on a disk of `size` bytes, all of it data."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        directory = Path(name)
        _prepare(directory, size)
        varan = str(Path(sys.executable).with_name("varan-system-x86_64"))
        rows = []
        for job in WORK:
            ours, theirs = in_turns(
                rounds, partial(_run, varan, directory, job), partial(_run, "qemu-system-x86_64", directory, job)
            )
            work = f"{job} of {size // MIB} MiB"
            rows.append(Comparison(work, ours, theirs, "s", "QEMU 7.2", "at most 1x"))
        return rows


def _prepare(directory: Path, size: int) -> None:
    block = os.urandom(MIB)
    with (directory / "base.raw").open("wb") as stream:
        for index in range(size // MIB):
            stream.write(index.to_bytes(8, "big") + block[8:])
    for words in (
        "create -q -f qcow2 -b base.raw -F raw over0.qcow2",
        "convert -O qcow2 base.raw full0.qcow2",
        "rebase -u -f qcow2 -b base.raw -F raw full0.qcow2",
    ):
        subprocess.run(["qemu-img", *words.split()], cwd=directory, check=True)


def _run(program: str, directory: Path, job: str) -> float:
    """Seconds that the job takes."""
    image, command, arguments = WORK[job]
    shutil.copy(directory / image.replace(".", "0."), directory / image)
    socket = directory / "qmp"
    socket.unlink(missing_ok=True)
    (directory / "copy.qcow2").unlink(missing_ok=True)
    os.sync()
    words = [program, "-M", "none", "-nodefaults", "-display", "none"]
    words += ["-drive", f"if=none,id=d0,file={image},format=qcow2", "-qmp", f"unix:{socket},server=on,wait=off"]
    child = subprocess.Popen(words, cwd=directory, stdout=subprocess.DEVNULL)
    try:
        _until(socket.exists)
        time.sleep(0.3)
        with qmp.connect(str(socket)) as client:
            begun = time.perf_counter()
            client.execute(command, arguments)
            _until(lambda: _over(client, job))
            return time.perf_counter() - begun
    finally:
        child.kill()
        child.wait()


def _over(client: Any, job: str) -> bool:
    jobs = client.execute("query-block-jobs", {})
    return not jobs or jobs[0]["status"] == "ready"


def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.005)

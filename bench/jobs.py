"""Block jobs against QEMU's on the same files, in machines without a guest and in ones whose Linux goes on writing."""

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
from typing import Any, NamedTuple

from tests.support.initrd import make_initrd
from tests.support.kernel import find_busybox, find_kernel

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
WRITER = """
[ -e /dev/vda ] || sleep 1
echo is-writing
at=0
while true; do
    dd if=/dev/zero of=/dev/vda bs=64k count=4 seek=$at oflag=direct conv=notrunc 2>/dev/null
    at=$(( (at + 4099) % 16380 ))
done
"""


def measure(rounds: int = 5, size: int = 1024 * MIB) -> list[Comparison]:
    """A row for each job on a disk of `size` bytes, all of it data; in machines that write as far as there is a kernel.

    Mirrors, and commits of the disk in use, are timed until they are ready to end.
    """
    kernel, busybox = find_kernel(), find_busybox()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        directory = Path(name)
        _prepare(directory, size)
        rows = [_compare(directory, job, size, rounds, STANDING) for job in WORK]
        if kernel is not None and busybox is not None:
            initrd = directory / "initrd"
            initrd.write_bytes(make_initrd(WRITER, busybox, modules=["virtio_pci", "virtio_blk"]))
            writing = Guest(
                "with a guest that writes",
                f"-m 256 -kernel {kernel} -initrd {initrd} -append console=ttyS0 -device virtio-blk-pci,drive=d0",
                b"is-writing",
            )
            rows += [_compare(directory, job, size, rounds, writing) for job in WORK]
        return rows


class Guest(NamedTuple):
    """What runs in the machine, the words that start it, and what its console says when it is under way."""

    label: str
    words: str
    ready: bytes


STANDING = Guest("without a guest", "-M none", b"")
ACCELERATORS = {"varan-system-x86_64": "unicorn", "qemu-system-x86_64": "tcg"}


def _compare(directory: Path, job: str, size: int, rounds: int, guest: Guest) -> Comparison:
    ours, theirs = in_turns(
        rounds,
        partial(_run, "varan-system-x86_64", directory, job, guest),
        partial(_run, "qemu-system-x86_64", directory, job, guest),
    )
    return Comparison(f"{job} of {size // MIB} MiB, {guest.label}", ours, theirs, "s", "QEMU 7.2", "at most 1x")


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


def _run(program: str, directory: Path, job: str, guest: Guest) -> float:
    """Seconds that the job takes."""
    image, command, arguments = WORK[job]
    shutil.copy(directory / image.replace(".", "0."), directory / image)
    socket, console = directory / "qmp", directory / "console"
    for path in (socket, console, directory / "copy.qcow2"):
        path.unlink(missing_ok=True)
    os.sync()
    words = [_path(program), *guest.words.split(), "-nodefaults", "-display", "none"]
    if guest.ready:
        words += ["-accel", ACCELERATORS[program], "-serial", f"file:{console}"]
    words += ["-drive", f"if=none,id=d0,file={image},format=qcow2", "-qmp", f"unix:{socket},server=on,wait=off"]
    child = subprocess.Popen(words, cwd=directory, stdout=subprocess.DEVNULL)
    try:
        _until(socket.exists)
        _until(lambda: not guest.ready or (console.exists() and guest.ready in console.read_bytes()))
        time.sleep(0.3)
        with qmp.connect(str(socket)) as client:
            begun = time.perf_counter()
            client.execute(command, arguments)
            _until(lambda: _over(client, job))
            return time.perf_counter() - begun
    finally:
        child.kill()
        child.wait()


def _path(program: str) -> str:
    own = Path(sys.executable).with_name(program)
    return str(own) if own.exists() else program


def _over(client: Any, job: str) -> bool:
    jobs = client.execute("query-block-jobs", {})
    return not jobs or jobs[0]["status"] == "ready"


def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.005)

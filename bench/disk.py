"""A Linux guest's virtio disk: dd in large and small steps, Varan on Unicorn against QEMU on TCG.

Both run the same kernel and initrd over the same raw file, which the host has in its page cache; the guest goes past
its own. Times are the guest's.
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.initrd import make_initrd
from tests.support.kernel import find_busybox, find_kernel

from bench.measure import Comparison

MIB = 1 << 20
WORK = {
    "read1m": ("dd if=/dev/vda of=/dev/null bs=1M count=256 iflag=direct", 256.0, "disk read, dd bs=1M"),
    "write1m": (
        "dd if=/dev/zero of=/dev/vda bs=1M count=128 oflag=direct",
        128.0,
        "disk write from /dev/zero, dd bs=1M",
    ),
    "copy1m": (
        "dd if=/dev/vda of=/dev/vda bs=1M skip=128 count=128 iflag=direct oflag=direct",
        128.0,
        "disk to itself, dd bs=1M",
    ),
    "buffered": ("dd if=/dev/vda of=/dev/null bs=1M count=64", 64.0, "disk read through the guest's cache"),
    "read4k": ("dd if=/dev/vda of=/dev/null bs=4k count=4000 iflag=direct", 4000.0, "4 KiB reads, one at a time"),
    "write4k": ("dd if=/dev/zero of=/dev/vda bs=4k count=2000 oflag=direct", 2000.0, "4 KiB writes, one at a time"),
}
"""By name: the guest's command, how much it does (MiB, or requests), what the row is called."""
SCRIPT = """
up() { cut -d' ' -f1 /proc/uptime; }
t() { name=$1; shift; a=$(up); "$@" 2>/dev/null; echo "RESULT $name $a $(up)"; }
"""


def measure(rounds: int = 3) -> list[Comparison]:
    """Two rows of throughput, one through the guest's cache, and two of the time that a small request takes."""
    kernel, busybox = find_kernel(), find_busybox()
    assert kernel is not None and busybox is not None, "the program has looked for them"
    with tempfile.TemporaryDirectory() as directory:
        initrd, disk = Path(directory) / "initrd", Path(directory) / "disk.raw"
        lines = "\n".join(f"t {name} {command}" for name, (command, _, _) in WORK.items())
        script = f"{SCRIPT}{lines}\necho ALL-DONE"
        initrd.write_bytes(make_initrd(script, busybox, modules=["virtio_pci", "virtio_blk"]))
        disk.write_bytes(os.urandom(256 * MIB))
        common = ["-m", "256", "-kernel", str(kernel), "-initrd", str(initrd), "-append", "console=ttyS0 quiet"]
        common += ["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]
        common += ["-drive", f"file={disk},if=virtio,format=raw"]
        varan = [str(Path(sys.executable).with_name("varan-system-x86_64")), "-accel", "unicorn", *common]
        qemu = ["qemu-system-x86_64", "-accel", "tcg", *common]
        runs = [(_run(varan), _run(qemu)) for _ in range(rounds)]
    return [_row(name, runs) for name in WORK]


def _run(command: list[str]) -> dict[str, float]:
    """Seconds of each work."""
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        assert child.stdout is not None
        found: dict[str, float] = {}
        for line in iter(child.stdout.readline, b""):
            match = re.search(rb"RESULT (\w+) ([\d.]+) ([\d.]+)", line)
            if match:
                found[match[1].decode()] = max(float(match[3]) - float(match[2]), 0.01)
            if b"ALL-DONE" in line:
                return found
        raise RuntimeError(f"{command[0]} ended early")
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _row(name: str, runs: list[tuple[dict[str, float], dict[str, float]]]) -> Comparison:
    _, amount, title = WORK[name]
    ours, theirs = (statistics.median(run[side][name] for run in runs) for side in (0, 1))
    if name.endswith("4k"):
        microseconds = 1e6 / amount
        return Comparison(title, ours * microseconds, theirs * microseconds, "us", "QEMU 7.2 TCG", "as quick")
    return Comparison(title, amount / ours, amount / theirs, "MiB/s", "QEMU 7.2 TCG", "at least 0.7x", "higher")

"""Linux boot to userspace: Varan on Unicorn against QEMU on TCG, same kernel, initrd, memory and command line."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.support.initrd import make_initrd
from tests.support.kernel import find_busybox, find_kernel

from bench.measure import Comparison, in_turns, seconds_until

READY = b"userspace is here"
INIT = f"echo {READY.decode()}\nwhile true; do sleep 1; done\n"
LIMIT = 120.0
COMMAND_LINES = {
    "console=ttyS0": "console=ttyS0",
    "console=ttyS0, devices off": "console=ttyS0 nolapic noapic acpi=off pci=off tsc=reliable mitigations=off",
}


def measure(rounds: int = 5) -> list[Comparison]:
    """One comparison per kernel command line."""
    kernel, busybox = find_kernel(), find_busybox()
    assert kernel is not None and busybox is not None, "the program has looked for them"
    with tempfile.TemporaryDirectory() as directory:
        initrd = Path(directory) / "initrd"
        initrd.write_bytes(make_initrd(INIT, busybox))
        return [_compare(label, line, kernel, initrd, rounds) for label, line in COMMAND_LINES.items()]


def _compare(label: str, line: str, kernel: Path, initrd: Path, rounds: int) -> Comparison:
    common = ["-m", "256", "-kernel", str(kernel), "-initrd", str(initrd), "-append", line]
    common += ["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]
    varan = [str(Path(sys.executable).with_name("varan-system-x86_64")), "-accel", "unicorn", *common]
    qemu = ["qemu-system-x86_64", "-accel", "tcg", *common]
    ours, theirs = in_turns(
        rounds, lambda: seconds_until(varan, READY, LIMIT), lambda: seconds_until(qemu, READY, LIMIT)
    )
    return Comparison(f"Linux boot to userspace ({label})", ours, theirs, "s", "QEMU 7.2 TCG", "at most 1.3x")

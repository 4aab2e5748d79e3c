"""Linux boot to userspace: Varan on Unicorn against QEMU on TCG, same kernel, initrd, memory and command line."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.initrd import make_initrd
from tests.support.kernel import find_busybox, find_kernel

from bench.measure import Comparison, in_turns, seconds_until

READY = b"userspace is here"
INIT = f"echo {READY.decode()}\nwhile true; do sleep 1; done\n"
LIMIT = 120.0
WITH_DEVICES = """
until [ -e /sys/class/net/eth0 ] && dd if=/dev/vda of=/dev/null bs=4k count=1 2>/dev/null; do usleep 1000; done
"""
MODULES = ("virtio_pci", "virtio_blk", "virtio_net")
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
        rows = [_compare(label, line, kernel, initrd, rounds) for label, line in COMMAND_LINES.items()]
        initrd.write_bytes(make_initrd(WITH_DEVICES + INIT, busybox, modules=MODULES))
        disk = Path(directory) / "disk.raw"
        disk.write_bytes(bytes(1 << 20))
        devices = ["-drive", f"file={disk},format=raw,if=virtio"]
        devices += ["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile="]
        label = "console=ttyS0, virtio disk and network found"
        return [*rows, _compare(label, "console=ttyS0", kernel, initrd, rounds, devices)]


def _compare(label: str, line: str, kernel: Path, initrd: Path, rounds: int, devices: Sequence[str] = ()) -> Comparison:
    common = ["-m", "256", "-kernel", str(kernel), "-initrd", str(initrd), "-append", line]
    common += ["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", *devices]
    varan = [str(Path(sys.executable).with_name("varan-system-x86_64")), "-accel", "unicorn", *common]
    qemu = ["qemu-system-x86_64", "-accel", "tcg", *common]
    ours, theirs = in_turns(
        rounds, lambda: seconds_until(varan, READY, LIMIT), lambda: seconds_until(qemu, READY, LIMIT)
    )
    return Comparison(f"Linux boot to userspace ({label})", ours, theirs, "s", "QEMU 7.2 TCG", "at most 1.3x")

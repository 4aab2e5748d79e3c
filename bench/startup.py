"""From starting the process to the QMP greeting, Varan against QEMU."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.measure import Comparison, in_turns, seconds_until

OPTIONS = ["-machine", "none", "-nodefaults", "-display", "none", "-S", "-qmp", "stdio"]


def measure(rounds: int = 11) -> list[Comparison]:
    """Start of process to greeting."""
    varan = [str(Path(sys.executable).with_name("varan-system-x86_64")), *OPTIONS]
    qemu = ["qemu-system-x86_64", *OPTIONS]
    ours, theirs = in_turns(
        rounds, lambda: seconds_until(varan, b'"QMP"', 20), lambda: seconds_until(qemu, b'"QMP"', 20)
    )
    return [Comparison("process start to QMP greeting", ours * 1e3, theirs * 1e3, "ms", "QEMU 7.2", "measured")]

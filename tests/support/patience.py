"""Running QEMU's tools where a busy host spoils their measurements."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

UNMEASURED = "Unable to get accurate CPU usage"
"""What they say when the host's accounting showed no time at all for a key's derivation."""
ATTEMPTS = 40
PAUSE = 0.1
"""Seconds between attempts."""


def run_patiently(
    command: Sequence[str], directory: Path | None = None, script: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run an outside program with `script` on its input, again while it says that it could not measure itself."""
    for _ in range(ATTEMPTS):
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, input=script, timeout=100)
        if UNMEASURED not in done.stderr:
            break
        time.sleep(PAUSE)
    return done

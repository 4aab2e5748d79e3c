"""A tool as a process: what an interpreter does for long-lived programs is left out where a run takes milliseconds."""

from __future__ import annotations

import gc
import os
import sys

from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_COLLECT_EVERY = 100_000
"""New objects between collections: importing makes many, and hardly any garbage."""
_SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter while another waits for it, to issue its next read or write."""
_BROKEN_PIPE = 141


def run_process(main: Callable[[], int]) -> NoReturn:
    """Run `main` and end the process with its status, without taking the interpreter down piece by piece.

    `main` has closed what it opened when it returns; what it printed is written out here.
    """
    gc.set_threshold(_COLLECT_EVERY, 20, 20)
    sys.setswitchinterval(_SWITCH_SECONDS)
    status = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        status = _BROKEN_PIPE
    os._exit(status)

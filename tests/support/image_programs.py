"""The image programs side by side: Varan's in this process, QEMU's as it is installed."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from tests.support.need import need_tool
from tests.support.patience import run_patiently
from varan.cli.img import main as img
from varan.cli.io import main as io_main

_TIMING = re.compile(r"(; )(\d+:\d+:)?\d\d?(:\d+)?\.\d\d( sec)? \(.*?\)")
_TERSE = re.compile(r"^(\d+,\d+),[\d:.,]+$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What a program said, and its exit status."""

    status: int
    out: str
    err: str = ""


def varan_img(directory: Path, command: str) -> Outcome:
    """`varan-img COMMAND` in `directory`."""
    return _here(img.main, directory, shlex.split(command))


def varan_io(directory: Path, *words: str, script: str = "") -> Outcome:
    """`varan-io WORDS...` in `directory`, with `script` on its standard input."""
    return _here(io_main.main, directory, list(words), script)


def qemu_img(directory: Path, command: str) -> Outcome:
    """`qemu-img COMMAND` in `directory`; skips where it is not installed."""
    return _there([need_tool("qemu-img", package="qemu-utils"), *shlex.split(command)], directory)


def qemu_io(directory: Path, *words: str, script: str = "") -> Outcome:
    """`qemu-io WORDS...` in `directory`, with `script` on its standard input."""
    return _there([need_tool("qemu-io", package="qemu-utils"), *words], directory, script)


def without_times(text: str) -> str:
    """The output of the io programs without what differs from run to run."""
    return _TERSE.sub(r"\1", _TIMING.sub(r"\1TIME", text))


def _here(main: Callable[[list[str]], int], directory: Path, words: list[str], script: str = "") -> Outcome:
    out, err = io.StringIO(), io.StringIO()
    before, stdin = os.getcwd(), sys.stdin
    os.chdir(directory)
    sys.stdin = io.StringIO(script)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            status = main(words)
    finally:
        os.chdir(before)
        sys.stdin = stdin
    return Outcome(status, out.getvalue(), err.getvalue())


def _there(words: list[str], directory: Path, script: str = "") -> Outcome:
    done = run_patiently(words, directory, script)
    return Outcome(done.returncode, done.stdout, done.stderr)

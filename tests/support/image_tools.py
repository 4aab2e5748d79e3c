"""qemu-img and qemu-io, and ours, called alike: the words of a command line, and what came back."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.need import need_tool
from tests.support.patience import run_patiently
from varan.cli.img.main import main as img_main
from varan.cli.io.main import main as io_main


@dataclass(frozen=True, slots=True)
class Done:
    """A finished program."""

    status: int
    out: str
    err: str


def spawn(program: str, words: Sequence[str]) -> Done:
    """Run an outside program."""
    done = run_patiently([program, *words])
    return Done(done.returncode, done.stdout, done.stderr)


def call(main: Callable[[Sequence[str]], int], words: Sequence[str]) -> Done:
    """Run a program of ours in this process, which spares starting an interpreter."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(list(words))
    return Done(status, out.getvalue(), err.getvalue())


class Tools:
    """One side's two programs."""

    def __init__(self, name: str, img: Callable[[Sequence[str]], Done], io: Callable[[Sequence[str]], Done]) -> None:
        self.name = name
        self.run_img = img
        self.run_io = io

    def img(self, *words: str, status: int = 0) -> str:
        """What the image tool prints; it must end with `status`."""
        done = self.run_img(words)
        assert done.status == status, f"{self.name} img {shlex.join(words)}: {done}"
        return done.out

    def json(self, *words: str, status: int = 0) -> Any:
        """What it prints as JSON."""
        name, *rest = words
        return json.loads(self.img(name, "--output=json", *rest, status=status))

    def io(self, image: Sequence[str], commands: Sequence[str]) -> str:
        """Do I/O commands on an image, all of which must succeed."""
        words = [*image, *(word for command in commands for word in ("-c", command))]
        done = self.run_io(words)
        assert done.status == 0 and "failed" not in done.out, f"{self.name} io {shlex.join(words)}: {done}"
        return done.out


def qemu() -> Tools:
    """The real ones; skips where they are not installed."""
    img, io_program = need_tool("qemu-img", "qemu-utils"), need_tool("qemu-io", "qemu-utils")
    return Tools("qemu", lambda words: spawn(img, words), lambda words: spawn(io_program, words))


def varan() -> Tools:
    """Ours."""
    return Tools("varan", lambda words: call(img_main, words), lambda words: call(io_main, words))

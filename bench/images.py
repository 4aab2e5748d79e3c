"""The image tools against qemu-img and qemu-io on the same files: each command from start to end, in turns."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.measure import Comparison, Figure, in_turns

MIB = 1 << 20
AGAINST = "qemu-img 7.2"
GOAL = "at most 1x"
SMALL_REQUESTS = 2000
"""Random 4 KiB requests of one io script."""


def measure(rounds: int = 5, size: int = 1024 * MIB, only: str = "") -> list[Comparison | Figure]:
    """One comparison per kind of work on images of `size` bytes: of those with `only` in their name."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as directory:
        subject = _Images(Path(directory), size, rounds, only)
        subject.prepare()
        comparisons = [*subject.conversions(), *subject.looks(), *subject.changes(), *subject.small_requests()]
        return [*comparisons, subject.interpreter()]


class _Images:
    """The files, and the measurements on them. Programs run with their bytecode stored, as installed ones do."""

    def __init__(self, directory: Path, size: int, rounds: int, only: str) -> None:
        self._directory = directory
        self._size = size
        self._rounds = rounds
        self._only = only
        here = Path(sys.executable).parent
        self._img = (str(here / "varan-img"), "qemu-img")
        self._io = (str(here / "varan-io"), "qemu-io")
        self._environment = dict(os.environ, PYTHONPYCACHEPREFIX=str(directory / "bytecode"))
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def prepare(self) -> None:
        """Make the images with QEMU, so that both sides read what neither has an interest in."""
        full = self._directory / "full.raw"
        block = os.urandom(MIB)
        with full.open("wb") as stream:
            for index in range(self._size // MIB):
                stream.write(index.to_bytes(8, "big") + block[8:])
        text = self._directory / "text.raw"
        words = b"".join(b"%d lines of text that compresses; " % index for index in range(40000))
        with text.open("wb") as stream:
            for index in range(self._size // 4 // MIB):
                stream.write((index.to_bytes(8, "big") + words)[:MIB].ljust(MIB, b" "))
        with (self._directory / "sparse.raw").open("wb") as stream:
            stream.truncate(self._size)
            for offset in range(0, self._size, 64 * MIB):
                stream.seek(offset)
                stream.write(block)
        self._qemu("convert -f raw -O qcow2 full.raw full.qcow2")
        self._qemu("convert -f raw -O qcow2 sparse.raw sparse.qcow2")
        self._qemu("convert -f raw -O qcow2 -c text.raw zlib.qcow2")
        self._qemu("convert -f raw -O qcow2 -c -o compression_type=zstd text.raw zstd.qcow2")
        self._chain()
        for command in ([self._img[0], "check", "zstd.qcow2"], [self._io[0], "-c", "length", "full.qcow2"]):
            self._run(command)

    def _chain(self) -> None:
        """Three layers, the upper two with a megabyte in every sixteen."""
        below = "full.qcow2"
        for layer in ("middle.qcow2", "top.qcow2"):
            self._qemu(f"create -f qcow2 -b {below} -F qcow2 {layer}")
            writes = [f"-cwrite -q -P {index % 250 + 1} {index * 16}M 1M" for index in range(self._size // MIB // 16)]
            self._run(["qemu-io", "-f", "qcow2", *writes, layer])
            below = layer
        self._qemu(f"create -f qcow2 other.qcow2 {self._size}")

    def conversions(self) -> list[Comparison]:
        """Copies into a new image."""
        cases = {
            "convert raw to qcow2, full": "-f raw -O qcow2 full.raw",
            "convert qcow2 to raw, full": "-O raw full.qcow2",
            "convert raw to qcow2, sparse": "-f raw -O qcow2 sparse.raw",
            "convert qcow2 to raw, sparse": "-O raw sparse.qcow2",
            "convert through a backing chain": "-O qcow2 top.qcow2",
            "convert compressed, zlib": "-c -f raw -O qcow2 text.raw",
            "convert compressed, zstd": "-c -o compression_type=zstd -f raw -O qcow2 text.raw",
            "convert from compressed, zlib": "-O raw zlib.qcow2",
            "convert from compressed, zstd": "-O raw zstd.qcow2",
        }
        return [
            self._img_comparison(work, f"convert {words} TARGET") for work, words in cases.items() if self._only in work
        ]

    def looks(self) -> list[Comparison]:
        """What changes nothing."""
        cases = {
            "compare raw with qcow2, full": "compare -f raw -F qcow2 full.raw full.qcow2",
            "compare raw with qcow2, sparse": "compare -f raw -F qcow2 sparse.raw sparse.qcow2",
            "check": "check full.qcow2",
            "map --output=json": "map --output=json top.qcow2",
            "info (start-up)": "info full.qcow2",
        }
        return [self._img_comparison(work, words) for work, words in cases.items() if self._only in work]

    def changes(self) -> list[Comparison]:
        """What works on copies of the chain's upper images."""
        cases = {
            "commit into the middle image": ("commit COPY", ("middle.qcow2", "top.qcow2")),
            "rebase onto an empty image": ("rebase -b other.qcow2 -F qcow2 COPY", ("top.qcow2",)),
        }
        return [self._changing(work, words, copies) for work, (words, copies) in cases.items() if self._only in work]

    def small_requests(self) -> list[Comparison]:
        """Scripts of random 4 KiB requests."""
        chooser = random.Random(4096)
        offsets = [chooser.randrange(self._size // 4096) * 4096 for _ in range(SMALL_REQUESTS)]
        found = []
        for verb in ("read", "write"):
            work = f"io: {SMALL_REQUESTS} random 4 KiB {verb}s"
            if self._only not in work:
                continue
            script = "".join(f"{verb} -q {offset} 4096\n" for offset in offsets).encode()
            shutil.copyfile(self._directory / "full.qcow2", self._directory / "copy.qcow2")
            ours, theirs = in_turns(
                self._rounds, *(self._timer([tool, "-f", "qcow2", "copy.qcow2"], script=script) for tool in self._io)
            )
            found.append(Comparison(work, ours, theirs, "s", "qemu-io 7.2", GOAL))
        return found

    def interpreter(self) -> Figure:
        """The part of each command's time that is the start of the interpreter with its `site`."""
        (seconds,) = in_turns(4 * self._rounds, self._timer([sys.executable, "-c", "pass"]))
        return Figure("start of an interpreter that runs nothing", seconds * 1000, "ms", "measured")

    def _img_comparison(self, work: str, words: str) -> Comparison:
        ours, theirs = in_turns(
            self._rounds,
            *(
                self._timer([tool, *words.replace("TARGET", "target").split()], before=self._remove_target)
                for tool in self._img
            ),
        )
        return Comparison(work, ours, theirs, "s", AGAINST, GOAL)

    def _changing(self, work: str, words: str, copies: Sequence[str]) -> Comparison:
        def before() -> None:
            for name in copies:
                shutil.copyfile(self._directory / name, self._directory / f"copy-{name}")
            if len(copies) > 1:
                self._qemu(f"rebase -u -b copy-{copies[0]} -F qcow2 copy-{copies[-1]}")
            os.sync()

        command = words.replace("COPY", f"copy-{copies[-1]}").split()
        ours, theirs = in_turns(self._rounds, *(self._timer([tool, *command], before=before) for tool in self._img))
        return Comparison(work, ours, theirs, "s", AGAINST, GOAL)

    def _remove_target(self) -> None:
        (self._directory / "target").unlink(missing_ok=True)

    def _timer(
        self, command: Sequence[str], *, before: Callable[[], None] | None = None, script: bytes | None = None
    ) -> Callable[[], float]:
        def run() -> float:
            if before is not None:
                before()
            started = time.perf_counter()
            self._run(command, script)
            return time.perf_counter() - started

        return run

    def _qemu(self, words: str) -> None:
        self._run(["qemu-img", *words.split()])

    def _run(self, command: Sequence[str], script: bytes | None = None) -> None:
        done = subprocess.run(
            command, cwd=self._directory, input=script or b"", capture_output=True, env=self._environment
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)[:200]}: {done.stderr.decode()[-1000:]}")

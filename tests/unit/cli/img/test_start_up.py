"""What the tools load: each of these costs a short run more time than what it is for.

`varan.light` and `varan.block.lazy` have what their modules offer at a lower price.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "argparse",
    "ast",
    "asyncio",
    "concurrent",
    "contextlib",
    "cryptography",
    "dataclasses",
    "enum",
    "importlib",
    "inspect",
    "json",
    "logging",
    "msgspec",
    "numpy",
    "pathlib",
    "re",
    "signal",
    "ssl",
    "subprocess",
    "tempfile",
    "typing",
    "warnings",
    "zstandard",
}
WITHOUT_THREADS = {"ctypes", "functools", "queue", "threading", "zlib"}
"""What copying and comparing need and the others do not."""

RUN = """
import sys
from varan.cli.img.main import main
status = main(sys.argv[1:])
print(status, *sys.modules, file=sys.stderr)
"""


def loaded_by(*arguments: str) -> set[str]:
    """The modules that are there after a run (without `site`, whose packages' start-up files are not ours)."""
    source = str(Path(__file__).parents[4] / "src")
    program = f"import sys; sys.path.insert(0, {source!r})\n{RUN}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program, *arguments], capture_output=True, text=True)
    status, *modules = done.stderr.split()
    assert status == "0", done.stderr
    return set(modules)


@pytest.fixture
def images(tmp_path: Path) -> tuple[str, str]:
    """A raw image with some data, and the same as qcow2."""
    from varan.cli.img.main import main

    raw, qcow2 = tmp_path / "a.raw", tmp_path / "a.qcow2"
    raw.write_bytes(bytes(1 << 16) + b"data" * (1 << 14) + bytes(1 << 20))
    assert main(["convert", "-f", "raw", "-O", "qcow2", str(raw), str(qcow2)]) == 0
    return str(raw), str(qcow2)


@pytest.mark.parametrize("command", ["info", "info --output=json", "check", "map", "map --output=json"])
def test_a_look_at_an_image_loads_nothing_heavy(images: tuple[str, str], command: str) -> None:
    loaded = loaded_by(*command.split(), images[1])
    assert "varan.block.formats.qcow2.node" in loaded
    assert not loaded & (HEAVY | WITHOUT_THREADS)


def test_comparing_and_converting_load_nothing_heavy(images: tuple[str, str]) -> None:
    raw, qcow2 = images
    assert not loaded_by("compare", "-f", "raw", "-F", "qcow2", raw, qcow2) & HEAVY
    assert not loaded_by("convert", "-f", "raw", "-O", "qcow2", raw, f"{qcow2}.new") & HEAVY
    assert not loaded_by("convert", "-O", "raw", qcow2, f"{raw}.new") & HEAVY

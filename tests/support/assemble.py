"""The GNU assembler, for tests that compare assembled bytes with what is kept."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.support.need import need_tool


class Assembled(NamedTuple):
    """Flat code, and where its labels lie."""

    code: bytes
    labels: dict[str, int]


def assemble(source: str, folder: Path) -> Assembled:
    """Assemble x86 source in Intel syntax; skips without binutils."""
    assembler, copier, lister = (need_tool(name, "binutils") for name in ("as", "objcopy", "nm"))
    text, object_file, flat = (folder / f"program.{suffix}" for suffix in ("s", "o", "bin"))
    text.write_text(f".intel_syntax noprefix\n{source}\n")
    subprocess.run([assembler, "--64", text, "-o", object_file], check=True)
    subprocess.run([copier, "-O", "binary", "-j", ".text", object_file, flat], check=True)
    listing = subprocess.run([lister, object_file], check=True, capture_output=True, text=True).stdout
    labels = {name: int(value, 16) for value, kind, name in map(str.split, listing.splitlines()) if kind == "t"}
    return Assembled(flat.read_bytes(), labels)

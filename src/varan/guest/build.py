"""Assembles the guest programs: `python -m varan.guest.build`. Needs GNU binutils for x86."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from varan.errors import VaranError
from varan.guest import image

SOURCE = Path(__file__).parent
PROGRAMS = {"demo": image.LOAD_ADDRESS, "linuxrom": 0, "nothing": image.NOTHING_ADDRESS}
"""Programs and the addresses they are linked for."""
PREFIXES = ("x86_64-linux-gnu-", "")


class BuildError(VaranError):
    """The assembler is missing or refused the source."""


def tool(name: str) -> str:
    """The path of an x86 binutils program. Raises BuildError when there is none."""
    for prefix in PREFIXES:
        path = shutil.which(prefix + name)
        if path is not None:
            return path
    raise BuildError(f"{name} is not installed (Debian package binutils, or binutils-x86-64-linux-gnu)")


def assemble(program: str) -> bytes:
    """The bytes of `program` (a key of PROGRAMS) from its source. Raises BuildError."""
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        object_file, linked, binary = scratch / "p.o", scratch / "p.elf", scratch / "p.bin"
        _run(tool("as"), "--64", "-I", str(SOURCE), "-o", str(object_file), str(SOURCE / f"{program}.s"))
        address = f"-Ttext={PROGRAMS[program]:#x}"
        _run(tool("ld"), "-m", "elf_x86_64", "-N", "-e", "start", address, "-o", str(linked), str(object_file))
        _run(tool("objcopy"), "-O", "binary", "-j", ".text", str(linked), str(binary))
        return binary.read_bytes()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{Path(command[0]).name} failed:\n{done.stderr.strip()}")


def main() -> int:
    """Rebuild all programs in place."""
    try:
        for program in PROGRAMS:
            data = assemble(program)
            (SOURCE / f"{program}.bin").write_bytes(data)
            print(f"{program}.bin: {len(data)} bytes")
    except VaranError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

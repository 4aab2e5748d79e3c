"""Initial RAM disks for Linux guests: a newc cpio archive with busybox and one script.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux sources.
"""

from __future__ import annotations

import gzip
import re
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.kernel import need_modules
from tests.support.modules import with_dependencies

APPLETS = """
sh cat echo ls mount umount mkdir mknod rm cp mv ln sleep date dmesg free grep sed awk cut head tail wc sort uniq tr dd
md5sum sha256sum gzip gunzip zcat seq test true false expr uname ps kill poweroff reboot halt hexdump od stty setsid
cttyhack devmem taskset usleep time find xargs tar diff cmp yes sync nproc env printf tee insmod rmmod lsmod ip ifconfig
route ping nc udhcpc wget arp nslookup blkdiscard blockdev hostname readlink basename dirname timeout stat which mke2fs
"""

_LIBRARY = re.compile(r"(/\S+) \(0x")
"""A line of ldd."""

PRELUDE = """#!/bin/sh
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
"""


@dataclass
class Cpio:
    """Collects entries; `finish` gives the archive. Times, owners and inode numbers are the same on every host."""

    _parts: list[bytes] = field(default_factory=list)
    _count: int = 0

    def directory(self, name: str) -> None:
        self._entry(name, stat.S_IFDIR | 0o755, b"")

    def file(self, name: str, data: bytes, mode: int = 0o755) -> None:
        self._entry(name, stat.S_IFREG | mode, data)

    def symlink(self, name: str, target: str) -> None:
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, name: str, major: int, minor: int) -> None:
        self._entry(name, stat.S_IFCHR | 0o600, b"", (major, minor))

    def finish(self) -> bytes:
        """The archive, with its trailer, padded to a multiple of 512 bytes."""
        self._entry("TRAILER!!!", 0, b"")
        archive = b"".join(self._parts)
        return archive + bytes(-len(archive) % 512)

    def _entry(self, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> None:
        self._count += 1
        path = name.encode() + b"\0"
        fields = (self._count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        header = b"070701" + b"".join(b"%08X" % value for value in fields)
        self._parts.append(_padded(header + path) + _padded(data))


def make_initrd(
    script: str,
    busybox: Path | str,
    *,
    compress: bool = False,
    modules: Sequence[str] = (),
    programs: Sequence[Path | str] = (),
) -> bytes:
    """An initrd whose /init mounts /proc, /sys and /dev, inserts `modules` (names; what they depend on goes first),
    and then runs the lines of `script` in busybox's shell. `programs` are the host's, which go into /bin with the
    libraries that they need.

    Standard input and output are the kernel's console. When the script ends, the machine's power goes off (or the CPU
    halts, where the machine has no power switch).
    """
    archive = Cpio()
    for name in ("bin", "dev", "proc", "sys", "tmp"):
        archive.directory(name)
    archive.character_device("dev/console", 5, 1)
    archive.file("bin/busybox", Path(busybox).read_bytes())
    for applet in APPLETS.split():
        archive.symlink(f"bin/{applet}", "busybox")
    _add_programs(archive, programs)
    insertions = _add_modules(archive, modules) if modules else ""
    archive.file("init", f"{PRELUDE}{insertions}{script}\npoweroff -f\n".encode())
    data = archive.finish()
    return gzip.compress(data, 1, mtime=0) if compress else data


def _add_programs(archive: Cpio, programs: Sequence[Path | str]) -> None:
    """Put the programs into /bin, and their libraries where the host has them."""
    libraries: set[Path] = set()
    for program in programs:
        path = Path(program)
        archive.file(f"bin/{path.name}", path.read_bytes())
        listed = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=True).stdout
        libraries |= {Path(found) for found in _LIBRARY.findall(listed)}
    folders = {folder for library in libraries for folder in library.parents if folder != Path("/")}
    for folder in sorted(folders):
        archive.directory(str(folder).lstrip("/"))
    for library in sorted(libraries):
        archive.file(str(library).lstrip("/"), library.read_bytes())


def _add_modules(archive: Cpio, names: Sequence[str]) -> str:
    """Put the modules into /modules; the lines of shell that insert them."""
    archive.directory("modules")
    lines = []
    for path in with_dependencies(need_modules(), names):
        archive.file(f"modules/{path.name}", path.read_bytes(), 0o644)
        lines.append(f"insmod /modules/{path.name}\n")
    return "".join(lines)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)

"""Finds what a Linux guest is made of: an unmodified Debian cloud kernel, its modules, and a static busybox."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.need import need

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "kernel"
HINT = "run `python -m tests.support.fetch_kernel`, or install the Debian package"


def find_kernel() -> Path | None:
    """The kernel: VARAN_TEST_KERNEL, else the newest installed cloud kernel, else the fetched one."""
    return _find("VARAN_TEST_KERNEL", [(Path("/boot"), "vmlinuz-*cloud*"), (CACHE / "boot", "vmlinuz-*cloud*")])


def find_modules() -> Path | None:
    """The folder of modules (`kernel/...`) that belong to the kernel that `find_kernel` finds."""
    kernel = find_kernel()
    if kernel is None:
        return None
    release = kernel.name.removeprefix("vmlinuz-")
    roots = (kernel.parent.parent, CACHE, Path("/"))
    folders = [root / lib / "modules" / release for root in roots for lib in ("lib", "usr/lib")]
    return next((folder for folder in folders if (folder / "kernel").is_dir()), None)


def find_busybox() -> Path | None:
    """A statically linked busybox: VARAN_TEST_BUSYBOX, else the fetched one, else the installed one if static."""
    places = [(CACHE / "bin", "busybox"), (CACHE / "usr" / "bin", "busybox"), (Path("/bin"), "busybox")]
    return _find("VARAN_TEST_BUSYBOX", [(folder, name) for folder, name in places if _static(folder / name)])


def need_kernel() -> Path:
    """The kernel's path; skips when there is none."""
    path = find_kernel()
    need(path is not None, f"no Linux kernel: {HINT} linux-image-cloud-amd64")
    assert path is not None
    return path


def need_modules() -> Path:
    """The folder of the kernel's modules; skips when there is none."""
    path = find_modules()
    need(path is not None, f"no modules of the kernel: {HINT} linux-image-cloud-amd64")
    assert path is not None
    return path


def need_busybox() -> Path:
    """The path of a static busybox; skips when there is none."""
    path = find_busybox()
    need(path is not None, f"no static busybox: {HINT} busybox-static")
    assert path is not None
    return path


def _find(variable: str, places: list[tuple[Path, str]]) -> Path | None:
    override = os.environ.get(variable)
    if override:
        return Path(override)
    for folder, pattern in places:
        found = sorted(path for path in folder.glob(pattern) if os.access(path, os.R_OK))
        if found:
            return found[-1]
    return None


def _static(path: Path) -> bool:
    """Whether an ELF program has no interpreter: its name would stand near the beginning."""
    try:
        with path.open("rb") as file:
            return b"/ld-linux" not in file.read(4096)
    except OSError:
        return False

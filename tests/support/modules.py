"""Kernel modules for Linux guests: which files a module needs, in the order in which they are to be inserted.

Debian's package has no modules.dep (its installation makes one), so what a module depends on is read from the module:
`depends=` in its .modinfo section, as modpost writes it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path

_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


def with_dependencies(folder: Path, names: Iterable[str]) -> list[Path]:
    """The files of the modules called `names` and of all that they need, needed ones first.

    What is built into the kernel is left out. Raises KeyError for a module that the kernel has not.
    """
    files, built_in = _files(folder), _built_in(folder)
    order: dict[str, Path] = {}

    def add(name: str) -> None:
        if name in order or name in built_in:
            return
        for needed in _depends(files[name]):
            add(needed)
        order[name] = files[name]

    for name in names:
        add(_plain(name))
    return list(order.values())


@functools.cache
def _files(folder: Path) -> dict[str, Path]:
    return {_plain(path.stem): path for path in folder.rglob("*.ko")}


@functools.cache
def _built_in(folder: Path) -> frozenset[str]:
    return frozenset(_plain(Path(line).stem) for line in (folder / "modules.builtin").read_text().splitlines())


def _depends(path: Path) -> list[str]:
    found = _DEPENDS.search(path.read_bytes())
    return [_plain(name) for name in found[1].decode().split(",") if name] if found else []


def _plain(name: str) -> str:
    return name.replace("-", "_")

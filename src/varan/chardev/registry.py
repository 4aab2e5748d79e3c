"""The kinds of character device there are: a kind is added by a file that registers itself."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from varan.chardev.base import Chardev, ChardevError

if TYPE_CHECKING:
    from collections.abc import Mapping

Factory = Callable[[str, "Mapping[str, str]"], Chardev]
"""(id, options as the command line spells them) -> chardev, not open. Raises ChardevError for a bad option."""

_KINDS: dict[str, str] = {
    "file": "varan.chardev.file",
    "memory": "varan.chardev.ringbuf",
    "null": "varan.chardev.null",
    "pipe": "varan.chardev.pipe",
    "pty": "varan.chardev.pty",
    "ringbuf": "varan.chardev.ringbuf",
    "socket": "varan.chardev.socket",
    "stdio": "varan.chardev.stdio",
}


def kinds() -> list[str]:
    """Every kind's name."""
    return sorted(_KINDS)


def create(kind: str, id: str, options: Mapping[str, str]) -> Chardev:
    """A chardev of `kind`, not open. Raises ChardevError for an unknown kind or a bad option."""
    module = _KINDS.get(kind)
    if module is None:
        raise ChardevError(f"chardev '{id}': there is no backend '{kind}'; known are {', '.join(kinds())}")
    factory: Factory = importlib.import_module(module).create
    return factory(id, options)

"""Varan: a virtual machine monitor in Python.

`Machine` is a virtual machine of this program's own, `connect` a client for one in another process, `VaranError` the
base of everything that either raises for a reason the user can mend.
"""

from __future__ import annotations

from varan.light import TYPE_CHECKING
from varan.version import VERSION as __version__

if TYPE_CHECKING:
    from typing import Any

    from varan.embed.vm import Machine
    from varan.errors import VaranError
    from varan.qmp.client import connect

__all__ = ["Machine", "VaranError", "__version__", "connect"]

_WHERE = {"Machine": "varan.embed.vm", "VaranError": "varan.errors", "connect": "varan.qmp.client"}


def __dir__() -> list[str]:
    """What there is for users, imported yet or not."""
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: `varan --version` needs none of it."""
    if name not in _WHERE:
        raise AttributeError(f"module 'varan' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_WHERE[name]), name)

"""Disk images: the graph of block nodes, formats, transports and filters.

`open` and `create` are what programs use; `varan.block.blocking` has the same without an event loop.
"""

from __future__ import annotations

from varan.light import TYPE_CHECKING, load

if TYPE_CHECKING:
    from typing import Any

    from varan.block.base import BlockError, ErrorKind
    from varan.block.image import Image
    from varan.block.image import create_image as create
    from varan.block.image import open_image as open

__all__ = ["BlockError", "ErrorKind", "Image", "create", "open"]

_WHERE = {
    "BlockError": ("varan.block.base", "BlockError"),
    "ErrorKind": ("varan.block.base", "ErrorKind"),
    "Image": ("varan.block.image", "Image"),
    "create": ("varan.block.image", "create_image"),
    "open": ("varan.block.image", "open_image"),
}
"""Loaded when asked for: tools that need only part of the block layer start sooner."""


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _WHERE[name]
    value = getattr(load(module), attribute)
    globals()[name] = value
    return value

"""Disk images: the graph of block nodes, formats, transports and filters.

`open` and `create` are what programs use; `varan.block.blocking` has the same without an event loop.
"""

from varan.block.base import BlockError, ErrorKind
from varan.block.image import Image
from varan.block.image import create_image as create
from varan.block.image import open_image as open

__all__ = ["BlockError", "ErrorKind", "Image", "create", "open"]

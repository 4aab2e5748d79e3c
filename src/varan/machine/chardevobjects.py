"""Character devices in the object tree."""

from __future__ import annotations

import functools

from varan.chardev.base import Chardev
from varan.core.properties import Property
from varan.core.qom import Object


class ChardevObject(Object):
    """Shows a character device."""

    type_name = "chardev"
    properties = (
        Property("filename", "string", "what it leads to", read=lambda at: at.chardev.filename),
        Property("frontend-open", "bool", "whether something uses it", read=lambda at: at.chardev.frontend_open),
    )

    def __init__(self, chardev: Chardev) -> None:
        self.chardev = chardev


@functools.cache
def chardev_type(kind: str) -> type[ChardevObject]:
    """The type of character devices of `kind`."""
    return type("KindOfChardev", (ChardevObject,), {"type_name": f"chardev-{kind}", "abstract": False, "__doc__": kind})

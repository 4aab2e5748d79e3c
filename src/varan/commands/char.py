"""Handlers of schema/char.json."""

from __future__ import annotations

import base64
import binascii
import codecs
from typing import TYPE_CHECKING

from varan.api.values import ChardevBackendInfo, ChardevInfo, DataFormat
from varan.chardev import registry as chardev_kinds
from varan.commands.registry import handler
from varan.errors import DeviceNotFound, GenericError, InvalidParameterValue
from varan.machine.machine import Machine

if TYPE_CHECKING:
    from varan.chardev.ringbuf import Ringbuf


@handler("query-chardev")
async def query_chardev(machine: Machine) -> list[ChardevInfo]:
    """In the order in which they were made."""
    return [
        ChardevInfo(label=id, filename=chardev.filename, frontend_open=chardev.frontend_open)
        for id, chardev in machine.chardevs.items()
    ]


@handler("query-chardev-backends")
async def query_chardev_backends(machine: Machine) -> list[ChardevBackendInfo]:
    """What the registry knows."""
    return [ChardevBackendInfo(name=name) for name in chardev_kinds.kinds()]


@handler("ringbuf-write")
async def ringbuf_write(machine: Machine, device: str, data: str, format: DataFormat | None = None) -> None:
    """Displaces the oldest bytes where there is no room."""
    ring = _ring(machine, device)
    if format is not DataFormat.BASE64:
        ring.write(data.encode("utf-8", "surrogatepass"))
        return
    try:
        ring.write(base64.b64decode(data, validate=True))
    except binascii.Error as error:
        raise GenericError(f"Parameter 'data' is not base64: {error}") from None


@handler("ringbuf-read")
async def ringbuf_read(machine: Machine, device: str, size: int, format: DataFormat | None = None) -> str:
    """Removes what it returns."""
    ring = _ring(machine, device)
    if size <= 0:
        raise InvalidParameterValue("size", "a number of bytes greater than zero")
    data = ring.read(size)
    if format is DataFormat.BASE64:
        return base64.b64encode(data).decode("ascii")
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data)
    while decoder.getstate()[0] and (more := ring.read(1)):
        text += decoder.decode(more)
    return text + decoder.decode(b"", final=True)


def _ring(machine: Machine, id: str) -> Ringbuf:
    from varan.chardev.ringbuf import Ringbuf  # its kind may never be used

    chardev = machine.chardevs.get(id)
    if chardev is None:
        raise DeviceNotFound(id)
    if not isinstance(chardev, Ringbuf):
        raise GenericError(f"Character device '{id}' is not a ring buffer")
    return chardev

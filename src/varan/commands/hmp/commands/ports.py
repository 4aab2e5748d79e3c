"""I/O ports, as the guest's IN and OUT reach them."""

from __future__ import annotations

from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.format import Format
from varan.commands.hmp.registry import command
from varan.commands.hmp.session import HmpSession

_NAMES = {1: "b", 2: "w", 4: "l"}
PORT_MASK = 0xFFFF


def _size(format: Format | None) -> int:
    size = (format.size if format else None) or 4
    if size not in _NAMES:
        raise HmpError("a port access has 1, 2 or 4 bytes: /b, /h or /w")
    return size


@command("i", "/format port:integer", help="read an I/O port, for instance i /b 0x71")
async def port_in(session: HmpSession, port: int, format: Format | None = None) -> str:
    """With all that a guest's IN would cause."""
    size, port = _size(format), port & PORT_MASK
    with session.machine.lock:
        value = session.machine.ports.read(port, size)
    return f"port{_NAMES[size]}[{port:#06x}] = {value:#0{2 + 2 * size}x}\n"


@command("o", "/format port:integer value:integer", help="write an I/O port, for instance o /b 0x80 0x42")
async def port_out(session: HmpSession, port: int, value: int, format: Format | None = None) -> str:
    """With all that a guest's OUT would cause."""
    size = _size(format)
    with session.machine.lock:
        session.machine.ports.write(port & PORT_MASK, size, value & ((1 << 8 * size) - 1))
    return ""

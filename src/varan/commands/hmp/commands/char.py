"""Ring buffer character devices."""

from __future__ import annotations

from varan.commands import char
from varan.commands.hmp.registry import command
from varan.commands.hmp.session import HmpSession


@command("ringbuf_write", "device:string data:rest", help="put text into a ring buffer character device")
async def ringbuf_write(session: HmpSession, device: str, data: str) -> str:
    """As the QMP command, in UTF-8."""
    await char.ringbuf_write(session.machine, device, data)
    return ""


@command("ringbuf_read", "device:string size:integer", help="take text out of a ring buffer character device")
async def ringbuf_read(session: HmpSession, device: str, size: int) -> str:
    """As the QMP command; control characters are shown as `\\uXXXX`, except the newline."""
    text = await char.ringbuf_read(session.machine, device, size)
    shown = "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text)
    return shown if not shown or shown.endswith("\n") else f"{shown}\n"

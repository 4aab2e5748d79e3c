"""The board's devices, by the state that they declare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.registry import INFO, command
from varan.commands.hmp.session import HmpSession
from varan.core.state import encode

_WIDEST = 64
"""Items of a list that are shown; longer ones are counted."""


@command("devices", "name:string?", help="the board's devices, or one device's whole state", group=INFO)
async def devices(session: HmpSession, name: str = "") -> str:
    """One line per device, or one per member of the state."""
    machine = session.machine
    if not name:
        return "".join(f"{found}\n" for found in machine.board.devices)
    device = machine.board.devices.get(name)
    if device is None:
        raise HmpError(f"there is no device '{name[:80]}'; 'info devices' lists them")
    with machine.lock:
        state = encode(device.save())["state"]
    return "".join(f"{line}\n" for line in _members(state, ""))


def _members(value: Any, path: str) -> Iterator[str]:
    """A state's members, each on a line of its own under its dotted name."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _members(member, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and any(isinstance(member, dict) for member in value):
        for index, member in enumerate(value):
            yield from _members(member, f"{path}[{index}]")
    else:
        yield f"{path}={_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value).lower() if value is None or isinstance(value, bool) else value
    if isinstance(value, int):
        return f"{value:#x}"
    if isinstance(value, bytes | bytearray):
        return bytes(value[:_WIDEST]).hex() + (f"... ({len(value)} bytes)" if len(value) > _WIDEST else "")
    if isinstance(value, list):
        shown = " ".join(map(_shown, value[:_WIDEST]))
        return shown + (f" ... ({len(value)} items)" if len(value) > _WIDEST else "")
    return str(value)

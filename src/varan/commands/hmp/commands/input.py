"""Keys and mice."""

from __future__ import annotations

from varan.api.values import InputAxis, InputButton, KeyValue, NumberKeyValue, QcodeKeyValue, QKeyCode
from varan.commands import ui
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.registry import INFO, command
from varan.commands.hmp.session import HmpSession
from varan.core.input import POINTER, Button, Motion, UserEvent

_BUTTONS = ((1, InputButton.LEFT), (2, InputButton.MIDDLE), (4, InputButton.RIGHT))


@command(
    "sendkey",
    "keys:string hold_ms:integer?",
    help="press keys together (ctrl-alt-f1; a number by 0x...), and hold them (100 ms unless told otherwise)",
)
async def sendkey(session: HmpSession, keys: str, hold_ms: int | None = None) -> str:
    """Names joined with minus signs; `<` is the key beside the left Shift."""
    await ui.send_key(session.machine, [_key(word) for word in keys.split("-")], hold_ms)
    return ""


def _key(word: str) -> KeyValue:
    if word.startswith("0x"):
        try:
            return NumberKeyValue(data=int(word, 16))
        except ValueError:
            pass
    try:
        return QcodeKeyValue(data=QKeyCode("less" if word == "<" else word))
    except ValueError:
        raise HmpError(f"there is no key '{word[:80]}'") from None


@command("mouse_move", "dx:integer dy:integer dz:integer?", help="move the mouse right, down, and its wheel down")
async def mouse_move(session: HmpSession, dx: int, dy: int, dz: int = 0) -> str:
    """Of the wheel the direction counts."""
    events: list[UserEvent] = [Motion(InputAxis.X, dx), Motion(InputAxis.Y, dy)]
    if dz:
        wheel = InputButton.WHEEL_UP if dz < 0 else InputButton.WHEEL_DOWN
        events += [Button(wheel, True), Button(wheel, False)]
    ui.send(session.machine, events)
    return ""


@command("mouse_button", "state:integer", help="press and let go of mouse buttons: 1 left, 2 middle, 4 right, added up")
async def mouse_button(session: HmpSession, state: int) -> str:
    """All three have that state then."""
    ui.send(session.machine, [Button(button, bool(state & bit)) for bit, button in _BUTTONS])
    return ""


@command("mouse_set", "index:integer", help="choose the mouse that is moved, by its number in 'info mice'")
async def mouse_set(session: HmpSession, index: int) -> str:
    """It stays until a guest's driver starts with another one."""
    machine = session.machine
    hub = machine.environment.input
    with machine.lock:
        for number, sink in hub.sinks:
            if number == index and sink.takes & POINTER:
                hub.prefer(sink)
                return ""
    raise HmpError(f"Mouse at index '{index}' not found")


@command("mice", help="mice and tablets; * marks the one that is moved", group=INFO)
async def mice(session: HmpSession) -> str:
    """One line each."""
    lines = []
    for mouse in await ui.query_mice(session.machine):
        mark = "*" if mouse.current else " "
        lines.append(f"{mark} Mouse #{mouse.index}: {mouse.name}{' (absolute)' if mouse.absolute else ''}\n")
    return "".join(lines) or "No mouse devices connected\n"

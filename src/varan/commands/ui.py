"""Handlers of schema/ui.json."""

from __future__ import annotations

from varan.api.values import (
    AbsInputEvent,
    BtnInputEvent,
    InputEvent,
    KeyInputEvent,
    KeyValue,
    MouseInfo,
    NumberKeyValue,
    QKeyCode,
    RunState,
)
from varan.commands.registry import handler
from varan.core.input import POINTER, POSITION, Button, Key, Motion, Position, UserEvent
from varan.devices.input.keys import by_number
from varan.errors import DeviceNotFound, GenericError, InvalidParameterValue
from varan.machine.machine import Machine

DEFAULT_HOLD = 100
LONGEST_HOLD = 60_000
"""Milliseconds."""


def key_code(key: KeyValue) -> QKeyCode:
    """The key that the protocol names."""
    return by_number(key.data) if isinstance(key, NumberKeyValue) else key.data


def send(machine: Machine, events: list[UserEvent]) -> None:
    """One movement of the user. Raises GenericError for a guest that would not see it."""
    if not machine.run_state.running and machine.run_state.state is not RunState.SUSPENDED:
        raise GenericError("VM not running")
    with machine.lock:
        machine.environment.input.send(events)


@handler("send-key")
async def send_key(machine: Machine, keys: list[KeyValue], hold_time: int | None = None) -> None:
    """They are pressed in guest time, so a machine that stands keeps them waiting."""
    hold = DEFAULT_HOLD if hold_time is None else hold_time
    if not 0 <= hold <= LONGEST_HOLD:
        raise InvalidParameterValue("hold-time", f"milliseconds from 0 to {LONGEST_HOLD}")
    with machine.lock:
        if not machine.typist.type([key_code(key) for key in keys], hold):
            raise GenericError("Too many keys wait to be pressed")


@handler("input-send-event")
async def input_send_event(
    machine: Machine, events: list[InputEvent], device: str | None = None, head: int | None = None
) -> None:
    """No display has devices of its own."""
    if device is not None:
        raise DeviceNotFound(device)
    send(machine, [_user_event(event) for event in events])


def _user_event(event: InputEvent) -> UserEvent:
    if isinstance(event, KeyInputEvent):
        return Key(key_code(event.data.key), event.data.down)
    if isinstance(event, BtnInputEvent):
        return Button(event.data.button, event.data.down)
    if isinstance(event, AbsInputEvent):
        return Position(event.data.axis, event.data.value)
    return Motion(event.data.axis, max(min(event.data.value, 0x7FFFFFFF), -0x80000000))


@handler("query-mice")
async def query_mice(machine: Machine) -> list[MouseInfo]:
    """The one that is preferred first."""
    hub = machine.environment.input
    with machine.lock:
        current = hub.who_takes(POINTER)
        return [
            MouseInfo(name=sink.name, index=number, current=sink is current, absolute=bool(sink.takes & POSITION))
            for number, sink in hub.sinks
            if sink.takes & POINTER
        ]

from __future__ import annotations

from typing import Any

import pytest
from tests.support.fake_machine import FakeMachine

from varan.api.values import (
    AbsInputEvent,
    BtnInputEvent,
    InputAxis,
    InputBtnEvent,
    InputButton,
    InputKeyEvent,
    InputMoveEvent,
    KeyInputEvent,
    NumberKeyValue,
    QcodeKeyValue,
    QKeyCode,
    RelInputEvent,
)
from varan.commands import ui
from varan.commands.hmp.commands import input as hmp
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.session import HmpSession
from varan.core import input as i
from varan.errors import DeviceNotFound, GenericError, InvalidParameterValue


class Everything(i.InputSink):
    """Takes all and remembers it."""

    name = "everything"

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.told: list[tuple[Any, ...]] = []

    def key(self, code: QKeyCode, down: bool) -> None:
        self.told.append((code, down))

    def button(self, button: InputButton, down: bool) -> None:
        self.told.append((button, down))

    def motion(self, axis: InputAxis, delta: int) -> None:
        self.told.append((axis, delta))

    def position(self, axis: InputAxis, value: int) -> None:
        self.told.append((axis, value))


@pytest.fixture
async def sink(machine: FakeMachine) -> Everything:
    sink = Everything(i.KEYS | i.BUTTONS | i.MOTION | i.POSITION)
    machine.environment.input.add(sink)
    await machine.lifecycle.cont()
    return sink


@pytest.fixture
def session(machine: FakeMachine) -> HmpSession:
    return HmpSession(machine)  # type: ignore[arg-type]


def run(machine: FakeMachine, milliseconds: int) -> None:
    clock: Any = machine.environment.virtual
    for _ in range(milliseconds):
        clock.advance(i.MILLISECOND)
        machine.environment.timers.run_due()


async def test_events_reach_the_devices(machine: FakeMachine, sink: Everything) -> None:
    await ui.input_send_event(
        machine,
        [
            KeyInputEvent(data=InputKeyEvent(key=QcodeKeyValue(data=QKeyCode.A), down=True)),
            KeyInputEvent(data=InputKeyEvent(key=NumberKeyValue(data=0xC8), down=False)),
            BtnInputEvent(data=InputBtnEvent(button=InputButton.LEFT, down=True)),
            RelInputEvent(data=InputMoveEvent(axis=InputAxis.X, value=-4)),
            AbsInputEvent(data=InputMoveEvent(axis=InputAxis.Y, value=7)),
        ],
    )
    assert sink.told == [
        (QKeyCode.A, True),
        (QKeyCode.UP, False),
        (InputButton.LEFT, True),
        (InputAxis.X, -4),
        (InputAxis.Y, 7),
    ]


async def test_a_guest_that_stands_sees_nothing(machine: FakeMachine, sink: Everything) -> None:
    await machine.lifecycle.stop()
    with pytest.raises(GenericError, match="VM not running"):
        await ui.input_send_event(machine, [])


async def test_no_display_has_devices_of_its_own(machine: FakeMachine, sink: Everything) -> None:
    with pytest.raises(DeviceNotFound, match="Device 'video0' not found"):
        await ui.input_send_event(machine, [], device="video0")


async def test_send_key_holds_keys_in_guest_time(machine: FakeMachine, sink: Everything) -> None:
    await ui.send_key(machine, [QcodeKeyValue(data=QKeyCode.CTRL), NumberKeyValue(data=0x2E)], 20)
    run(machine, 12)
    assert sink.told == [(QKeyCode.CTRL, True), (QKeyCode.C, True)]
    run(machine, 30)
    assert sink.told[2:] == [(QKeyCode.C, False), (QKeyCode.CTRL, False)]


@pytest.mark.parametrize("hold", [-1, 1 << 40])
async def test_send_key_refuses_absurd_times(machine: FakeMachine, hold: int) -> None:
    with pytest.raises(InvalidParameterValue, match="hold-time"):
        await ui.send_key(machine, [], hold)


async def test_send_key_refuses_absurdly_many_keys(machine: FakeMachine) -> None:
    with pytest.raises(GenericError, match="Too many keys"):
        await ui.send_key(machine, [NumberKeyValue(data=1)] * i.MOST_KEYS)


async def test_query_mice_lists_pointers_with_the_preferred_one_first(machine: FakeMachine) -> None:
    hub = machine.environment.input
    mouse, tablet = Everything(i.BUTTONS | i.MOTION), Everything(i.BUTTONS | i.POSITION)
    for sink in (Everything(i.KEYS), mouse, tablet):
        hub.add(sink)
    hub.prefer(tablet)
    found = [(mouse.index, mouse.current, mouse.absolute) for mouse in await ui.query_mice(machine)]
    assert found == [(3, True, True), (2, False, False)]


async def test_the_monitor_shows_and_sets_mice(machine: FakeMachine, session: HmpSession) -> None:
    assert await hmp.mice(session) == "No mouse devices connected\n"
    for takes in (i.MOTION, i.POSITION):
        machine.environment.input.add(Everything(takes))
    assert await hmp.mice(session) == "* Mouse #1: everything\n  Mouse #2: everything (absolute)\n"
    await hmp.mouse_set(session, 2)
    assert await hmp.mice(session) == "* Mouse #2: everything (absolute)\n  Mouse #1: everything\n"
    with pytest.raises(HmpError, match="Mouse at index '99' not found"):
        await hmp.mouse_set(session, 99)


async def test_the_monitor_moves_and_clicks(machine: FakeMachine, sink: Everything, session: HmpSession) -> None:
    await hmp.mouse_move(session, 3, -4, 1)
    assert sink.told[:2] == [(InputAxis.X, 3), (InputAxis.Y, -4)]
    assert sink.told[2:] == [(InputButton.WHEEL_DOWN, True), (InputButton.WHEEL_DOWN, False)]
    sink.told.clear()
    await hmp.mouse_button(session, 5)
    assert sink.told == [(InputButton.LEFT, True), (InputButton.MIDDLE, False), (InputButton.RIGHT, True)]


async def test_the_monitor_sends_keys(machine: FakeMachine, sink: Everything, session: HmpSession) -> None:
    await hmp.sendkey(session, "ctrl-<-0x1e", 1)
    run(machine, 100)
    assert [code for code, down in sink.told if down] == [QKeyCode.CTRL, QKeyCode.LESS, QKeyCode.A]
    for bad in ("foo", "0xzz", "", "ctrl-"):
        with pytest.raises(HmpError, match="there is no key"):
            await hmp.sendkey(session, bad)

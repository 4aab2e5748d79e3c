"""Keyboards, mice and tablets with an unmodified kernel's own drivers: what evdev shows is what was sent."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from tests.support.linux_guest import PATIENCE, linux, until

from varan.api import events
from varan.api.values import (
    AbsInputEvent,
    BtnInputEvent,
    InputAxis,
    InputBtnEvent,
    InputButton,
    InputMoveEvent,
    QcodeKeyValue,
    QKeyCode,
    RelInputEvent,
)
from varan.embed.vm import Machine

pytestmark = pytest.mark.linux

READY = "GUEST-READY"


def watch(name: str, count: int) -> str:
    """Prints `count` events of the input device called `name`: type, code and value."""
    return f"""
node=$(grep -A5 'Name="{name}"' /proc/bus/input/devices | grep -o 'event[0-9]*' | head -n 1)
exec 3< /dev/input/$node
echo {READY}
head -c {24 * count} <&3 | od -v -A n -t x1
echo GUEST-DONE
"""


VIRTIO = ["virtio_pci", "virtio_input", "evdev"]
MOUSE_MOVE = [
    RelInputEvent(data=InputMoveEvent(axis=InputAxis.X, value=12)),
    RelInputEvent(data=InputMoveEvent(axis=InputAxis.Y, value=-5)),
    BtnInputEvent(data=InputBtnEvent(button=InputButton.RIGHT, down=True)),
]


async def seen(vm: Machine) -> list[tuple[int, ...]]:
    """The events that the guest has printed."""
    shown = await vm.serial.expect(re.compile(r"((?: [0-9a-f]{2}|\r\n)+)GUEST-DONE"), timeout=PATIENCE)
    return [event[2:] for event in struct.iter_unpack("<QQHHi", bytes.fromhex(shown[1]))]


async def test_a_virtio_keyboard_types(tmp_path: Path) -> None:
    script = watch("Varan Virtio Keyboard", 4)
    async with linux(tmp_path, script, VIRTIO, devices=["virtio-keyboard-pci"]) as (vm, _):
        await vm.serial.expect(READY, timeout=PATIENCE)
        await vm.qmp.send_key(keys=[QcodeKeyValue(data=QKeyCode.HOME)])
        assert await seen(vm) == [(1, 102, 1), (0, 0, 0), (1, 102, 0), (0, 0, 0)]


async def test_the_ps2_keyboard_types(tmp_path: Path) -> None:
    async with linux(tmp_path, watch("AT Translated Set 2 keyboard", 3), ["evdev"]) as (vm, _):
        await vm.serial.expect(READY, timeout=PATIENCE)
        await vm.qmp.send_key(keys=[QcodeKeyValue(data=QKeyCode.HOME)])
        assert await seen(vm) == [(4, 4, 0xC7), (1, 102, 1), (0, 0, 0)]


async def test_a_virtio_mouse_moves(tmp_path: Path) -> None:
    script = watch("Varan Virtio Mouse", 4)
    async with linux(tmp_path, script, VIRTIO, devices=["virtio-mouse-pci"]) as (vm, _):
        await vm.serial.expect(READY, timeout=PATIENCE)
        current = next(mouse for mouse in await vm.qmp.query_mice() if mouse.current)
        assert current.name == "Varan Virtio Mouse"
        await vm.qmp.input_send_event(events=MOUSE_MOVE)
        assert await seen(vm) == [(2, 0, 12), (2, 1, -5), (1, 0x111, 1), (0, 0, 0)]


async def test_a_virtio_tablet_points(tmp_path: Path) -> None:
    script = watch("Varan Virtio Tablet", 3)
    async with linux(tmp_path, script, VIRTIO, devices=["virtio-tablet-pci"]) as (vm, _):
        await vm.serial.expect(READY, timeout=PATIENCE)
        moves = [(InputAxis.X, 100), (InputAxis.Y, 0x7000)]
        await vm.qmp.input_send_event(
            events=[AbsInputEvent(data=InputMoveEvent(axis=axis, value=value)) for axis, value in moves]
        )
        assert await seen(vm) == [(3, 0, 100), (3, 1, 0x7000), (0, 0, 0)]


async def test_a_key_wakes_a_guest_that_sleeps(tmp_path: Path) -> None:
    script = f"echo {READY}; echo mem > /sys/power/state; echo AWAKE"
    async with linux(tmp_path, script) as (vm, listener):
        await until(listener, events.Suspend)
        await vm.qmp.send_key(keys=[QcodeKeyValue(data=QKeyCode.SPC)])
        await until(listener, events.Wakeup)
        await vm.serial.expect("AWAKE", timeout=PATIENCE)

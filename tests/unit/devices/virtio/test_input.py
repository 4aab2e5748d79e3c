"""Input devices, against a model of a driver."""

from __future__ import annotations

import json
import struct

import pytest
from tests.support.virtio_driver import Buffers, CountingTransport, GuestMemory, chain, start

from varan.api.values import InputAxis, InputButton, QKeyCode
from varan.core.input import Button, InputHub, Key, Motion, Position
from varan.core.state import decode, encode
from varan.devices.virtio import input as i
from varan.devices.virtio.features import DEFAULT, RING_PACKED

FEATURES = [DEFAULT, DEFAULT | RING_PACKED, 0]
SYN = (i.EV_SYN, 0, 0)


class Guest:
    """A guest with one device of a kind."""

    def __init__(self, kind: i.Kind, features: int = DEFAULT, memory: GuestMemory | None = None) -> None:
        self.memory = memory or GuestMemory()
        self.features = features
        self.active: list[bool] = []
        self.touches = 0
        self.device = i.VirtioInput(
            self.memory.space,
            kind,
            serial="77",
            activated=self.active.append,
            touched=self.touch,
            features=features,
        )
        self.device.transport = CountingTransport()
        self.hub = InputHub()
        self.hub.add(self.device)

    def touch(self) -> None:
        self.touches += 1

    def start(self, buffers: int = 6) -> Guest:
        self.queues = start(self.device, self.memory, self.features)
        self.room(buffers)
        return self

    def room(self, count: int) -> None:
        for _ in range(count):
            assert self.queues[i.EVENTS].add(chain(self.memory, [], [i.EVENT.size]))
        if self.queues[i.EVENTS].must_kick():
            self.device.kick(i.EVENTS)

    def events(self) -> list[tuple[int, ...]]:
        done = self.queues[i.EVENTS].collect()
        assert all(written == i.EVENT.size for _, written in done)
        found = [struct.unpack("<HHi", buffers.answer(self.memory)) for buffers, _ in done]
        self.room(len(found))
        return found

    def shown(self, select: int, subselect: int = 0) -> bytes:
        self.device.write_config(0, bytes([select]))
        self.device.write_config(1, bytes([subselect]))
        config = self.device.config()
        return config[8 : 8 + config[2]]


def test_a_device_says_what_it_is() -> None:
    tablet = Guest(i.TABLET)
    assert tablet.shown(i.ID_NAME) == b"Varan Virtio Tablet"
    assert tablet.shown(i.ID_SERIAL) == b"77"
    assert struct.unpack("<HHHH", tablet.shown(i.ID_DEVIDS)) == (6, 0x627, 3, 2)
    assert tablet.shown(i.EV_BITS, i.EV_ABS) == b"\x03"
    assert struct.unpack("<IIIII", tablet.shown(i.ABS_INFO, 1)) == (0, 0x7FFF, 0, 0, 0)
    assert tablet.shown(i.EV_BITS, i.EV_LED) == tablet.shown(0xFF) == tablet.shown(i.ABS_INFO, 2) == b""


def test_a_keyboard_has_keys_and_lights_and_a_mouse_has_wheels() -> None:
    bits = int.from_bytes(Guest(i.KEYBOARD).shown(i.EV_BITS, i.EV_KEY), "little")
    assert bits >> 30 & 1 and bits >> 103 & 1 and not bits >> 0x110 & 1
    assert Guest(i.KEYBOARD).shown(i.EV_BITS, i.EV_LED) == b"\x07"
    assert Guest(i.MOUSE).shown(i.EV_BITS, i.EV_REL) == b"\x43\x01"


@pytest.mark.parametrize("features", FEATURES)
def test_a_movement_comes_with_its_end(features: int) -> None:
    guest = Guest(i.MOUSE, features).start()
    guest.hub.send([Motion(InputAxis.X, 5), Motion(InputAxis.Y, -7), Button(InputButton.LEFT, True)])
    assert guest.events() == [(i.EV_REL, 0, 5), (i.EV_REL, 1, -7), (i.EV_KEY, 0x110, 1), SYN]
    guest.hub.send([Button(InputButton.WHEEL_UP, True), Button(InputButton.WHEEL_UP, False)])
    assert guest.events() == [(i.EV_REL, i.REL_WHEEL, 1), SYN]


def test_keys_and_positions_come_as_linux_numbers_them() -> None:
    keyboard = Guest(i.KEYBOARD).start()
    keyboard.hub.send([Key(QKeyCode.A, True)])
    keyboard.hub.send([Key(QKeyCode.A, False), Key(QKeyCode.UNMAPPED, True)])
    assert keyboard.events() == [(i.EV_KEY, 30, 1), SYN, (i.EV_KEY, 30, 0), SYN]
    tablet = Guest(i.TABLET).start()
    tablet.hub.send([Position(InputAxis.X, 1), Position(InputAxis.Y, 1 << 20)])
    assert tablet.events() == [(i.EV_ABS, 0, 1), (i.EV_ABS, 1, 0x7FFF), SYN]


@pytest.mark.parametrize("features", FEATURES)
def test_without_room_for_all_of_a_movement_none_of_it_comes(features: int) -> None:
    guest = Guest(i.MOUSE, features).start(buffers=2)
    guest.hub.send([Motion(InputAxis.X, 1), Motion(InputAxis.Y, 1)])
    assert guest.events() == []
    guest.hub.send([Motion(InputAxis.X, 2)])
    assert guest.events() == [(i.EV_REL, 0, 2), SYN]


def test_a_flood_of_events_in_one_movement_is_bounded() -> None:
    guest = Guest(i.MOUSE).start()
    guest.hub.send([Motion(InputAxis.X, 1)] * 10000)
    assert guest.events() == []
    guest.hub.send([Motion(InputAxis.X, 2)])
    assert guest.events() == [(i.EV_REL, 0, 2), SYN]


def test_the_device_tells_when_a_driver_listens_and_when_it_is_touched() -> None:
    guest = Guest(i.KEYBOARD)
    guest.hub.send([Key(QKeyCode.A, True)])
    assert (guest.active, guest.touches) == ([], 1)
    guest.start()
    guest.device.set_status(0)
    assert guest.active == [True, False]
    assert guest.device.status == 0


def test_lights_are_taken_note_of_by_nobody() -> None:
    guest = Guest(i.KEYBOARD).start()
    guest.queues[i.STATUS].add(chain(guest.memory, [i.EVENT.pack(i.EV_LED, 1, 1)], []))
    guest.device.kick(i.STATUS)
    assert len(guest.queues[i.STATUS].collect()) == 1


def test_buffers_that_are_none_break_the_device() -> None:
    guest = Guest(i.KEYBOARD).start(buffers=0)
    guest.queues[i.EVENTS].add(Buffers([(1 << 60, 8, True)]))
    guest.hub.send([Key(QKeyCode.A, True)])
    assert guest.device.broken
    guest.hub.send([Key(QKeyCode.A, False)])


@pytest.mark.parametrize("features", FEATURES)
def test_saved_and_loaded_the_driver_gets_later_events_in_its_buffers(features: int) -> None:
    guest = Guest(i.MOUSE, features).start(buffers=2)
    guest.hub.send([Motion(InputAxis.X, 1), Motion(InputAxis.Y, 1)])
    guest.shown(i.ID_NAME)
    other = Guest(i.MOUSE, features, guest.memory)
    other.device.load(decode(i.InputState, json.loads(json.dumps(encode(guest.device.save())))))
    other.queues = guest.queues
    assert other.active == [True]
    assert other.device.config()[0] == i.ID_NAME
    other.hub.send([Motion(InputAxis.X, 2)])
    assert other.events() == [(i.EV_REL, 0, 2), SYN]

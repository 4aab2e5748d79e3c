"""The virtio input device (VIRTIO 1.2, 5.8): Linux's input events, in a queue.

A device says what it is in its configuration, which shows one thing at a time: the driver selects it. Events of one
movement come together or, for want of buffers, not at all.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from varan.api.values import InputAxis, InputButton, QKeyCode
from varan.core.input import BUTTONS, KEYS, MOTION, POSITION, POSITION_MAX, InputSink
from varan.core.memory import MemorySpace
from varan.devices.fields import Byte
from varan.devices.input.keys import linux_key, linux_keys
from varan.devices.virtio.chain import Chain
from varan.devices.virtio.device import VirtioDevice, VirtioState
from varan.devices.virtio.features import DEFAULT
from varan.devices.virtio.queue import VirtQueue

EVENTS, STATUS = 0, 1
QUEUE_SIZE = 64
MOST_PENDING = QUEUE_SIZE - 2
"""Events of one movement, besides the one that ends it."""
EVENT = struct.Struct("<HHI")
"""Type, code, value."""

ID_NAME, ID_SERIAL, ID_DEVIDS, PROP_BITS, EV_BITS, ABS_INFO = 0x01, 0x02, 0x03, 0x10, 0x11, 0x12
"""What the driver selects."""
PAYLOAD_OFFSET, PAYLOAD_SIZE = 8, 128
BUS_VIRTUAL = 6

EV_SYN, EV_KEY, EV_REL, EV_ABS, EV_LED, EV_REP = 0x00, 0x01, 0x02, 0x03, 0x11, 0x14
REL_HWHEEL, REL_WHEEL = 6, 8
LEDS = (0, 1, 2)
"""Num Lock, Caps Lock, Scroll Lock."""
REPEATS = (0, 1)
_BUTTONS = {
    InputButton.LEFT: 0x110,
    InputButton.RIGHT: 0x111,
    InputButton.MIDDLE: 0x112,
    InputButton.SIDE: 0x113,
    InputButton.EXTRA: 0x114,
}
_WHEELS = {
    InputButton.WHEEL_UP: (REL_WHEEL, 1),
    InputButton.WHEEL_DOWN: (REL_WHEEL, -1),
    InputButton.WHEEL_LEFT: (REL_HWHEEL, -1),
    InputButton.WHEEL_RIGHT: (REL_HWHEEL, 1),
}
_AXES = {InputAxis.X: 0, InputAxis.Y: 1}


class DeviceIds(NamedTuple):
    """Who made the device, as Linux shows it."""

    product: int
    version: int = 1
    vendor: int = 0x0627
    bus: int = BUS_VIRTUAL


@dataclass(frozen=True)
class Kind:
    """What a device is: `codes` has the codes of each type of event, `ranges` the last position of each axis."""

    name: str
    ids: DeviceIds
    takes: int
    codes: Mapping[int, Iterable[int]]
    ranges: Mapping[int, int] = field(default_factory=dict)


KEYBOARD = Kind("Varan Virtio Keyboard", DeviceIds(1), KEYS, {EV_KEY: linux_keys(), EV_LED: LEDS, EV_REP: REPEATS})
MOUSE = Kind(
    "Varan Virtio Mouse",
    DeviceIds(2, 2),
    BUTTONS | MOTION,
    {EV_KEY: _BUTTONS.values(), EV_REL: (*_AXES.values(), REL_HWHEEL, REL_WHEEL)},
)
TABLET = Kind(
    "Varan Virtio Tablet",
    DeviceIds(3, 2),
    BUTTONS | POSITION,
    {EV_KEY: _BUTTONS.values(), EV_REL: (REL_HWHEEL, REL_WHEEL), EV_ABS: _AXES.values()},
    dict.fromkeys(_AXES.values(), POSITION_MAX),
)


class InputState(VirtioState, kw_only=True):
    """What the driver has selected."""

    select: Byte = 0
    subselect: Byte = 0


class VirtioInput(VirtioDevice[InputState], InputSink):
    """A device of some kind. `activated(True)` tells that a driver listens, `activated(False)` that none does."""

    device_number = 18
    state_type = InputState

    def __init__(
        self,
        memory: MemorySpace,
        kind: Kind,
        *,
        serial: str = "",
        activated: Callable[[bool], None],
        touched: Callable[[], None],
        features: int = DEFAULT,
    ) -> None:
        """`touched` is called for each key or button that is pressed, whether a driver listens or not."""
        self.name = kind.name
        self.takes = kind.takes
        self._activated = activated
        self._active = False
        self._touched = touched
        self._pending: list[tuple[int, int, int]] = []
        self._buffers: list[Chain] = []
        """The driver's, that no event has been put into yet."""
        self._shown = _contents(kind, serial)
        super().__init__(memory, [QUEUE_SIZE, QUEUE_SIZE], features)

    # Configuration

    def config(self) -> bytes:
        state = self.state
        payload = self._shown.get((state.select, state.subselect), b"")
        return bytes((state.select, state.subselect, len(payload), 0, 0, 0, 0, 0)) + payload.ljust(PAYLOAD_SIZE, b"\0")

    def write_config(self, offset: int, data: bytes) -> None:
        for position, value in enumerate(data, offset):
            if position == 0:
                self.state.select = value
            elif position == 1:
                self.state.subselect = value

    # InputSink

    def key(self, code: QKeyCode, down: bool) -> None:
        number = linux_key(code)
        if number is not None:
            self._note(EV_KEY, number, int(down))
        if down:
            self._touched()

    def button(self, button: InputButton, down: bool) -> None:
        wheel = _WHEELS.get(button)
        if wheel is None:
            self._note(EV_KEY, _BUTTONS[button], int(down))
        elif down:
            self._note(EV_REL, *wheel)
        if down:
            self._touched()

    def motion(self, axis: InputAxis, delta: int) -> None:
        self._note(EV_REL, _AXES[axis], delta)

    def position(self, axis: InputAxis, value: int) -> None:
        self._note(EV_ABS, _AXES[axis], value)

    def _note(self, kind: int, code: int, value: int) -> None:
        if self.running and len(self._pending) < MOST_PENDING:
            self._pending.append((kind, code, value))

    def sync(self) -> None:
        events, self._pending = [*self._pending, (EV_SYN, 0, 0)], []
        if len(events) == 1 or not self.running:
            return
        queue, buffers = self.queues[EVENTS], self._buffers
        while len(buffers) < len(events) and (chain := next(queue.chains(), None)) is not None:
            buffers.append(chain)
        if len(buffers) < len(events):
            return
        for (kind, code, value), chain in zip(events, buffers, strict=False):
            queue.push(chain, chain.scatter(EVENT.pack(kind, code, value & 0xFFFFFFFF)))
        del buffers[: len(events)]
        queue.notify()

    # What the driver does

    def handle_queue(self, queue: VirtQueue) -> None:
        if queue.index == STATUS:
            # Which lights are on is nobody's concern here.
            for chain in queue.chains():
                queue.push(chain, 0)
            queue.notify()

    def driver_ready(self) -> None:
        self._set_active(True)

    def stopped(self) -> None:
        self._pending = []
        self._set_active(False)

    def restored(self) -> None:
        for chain in self._buffers:
            self.queues[EVENTS].push(chain, 0)
        self._buffers.clear()
        super().restored()
        self._set_active(self.running)

    def forget_memory(self) -> None:
        self._buffers.clear()
        super().forget_memory()

    def _set_active(self, active: bool) -> None:
        if active != self._active:
            self._active = active
            self._activated(active)


def _bitmap(numbers: Iterable[int]) -> bytes:
    bits = sum(1 << number for number in set(numbers))
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def _contents(kind: Kind, serial: str) -> dict[tuple[int, int], bytes]:
    """What the configuration shows for each selection (5.8.4)."""
    ids = kind.ids
    shown = {
        (ID_NAME, 0): kind.name.encode()[:PAYLOAD_SIZE],
        (ID_SERIAL, 0): serial.encode()[:PAYLOAD_SIZE],
        (ID_DEVIDS, 0): struct.pack("<HHHH", ids.bus, ids.vendor, ids.product, ids.version),
    }
    for event_type, codes in kind.codes.items():
        shown[EV_BITS, event_type] = _bitmap(codes)
    for axis, last in kind.ranges.items():
        shown[ABS_INFO, axis] = struct.pack("<IIIII", 0, last, 0, 0, 0)
    return shown

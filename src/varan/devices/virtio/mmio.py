"""Virtio over memory-mapped registers (VIRTIO 1.2, 4.2), version 2.

A guest learns where the registers are and which interrupt they raise from ACPI (a device with _HID "LNRO0005"), or it
is told so (Linux: `virtio_mmio.device=512@0xfed60000:16`).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from varan.core.irq import IrqLine
from varan.core.memory import MemorySpace
from varan.core.state import Device, State
from varan.devices.fields import Byte
from varan.devices.virtio.device import AnyVirtioDevice
from varan.devices.virtio.queue import QueueState

SIZE = 0x200
MAGIC = 0x74726976
"""`virt`."""
VERSION = 2
VENDOR = 0x4E415241
CONFIG = 0x100
_IDENTITY = {0x00: MAGIC, 0x04: VERSION, 0x0C: VENDOR}
"""What the registers are, whatever is behind them."""

INTERRUPT_QUEUE = 1
INTERRUPT_CONFIG = 2

_ADDRESSES = {
    0x80: ("descriptors", 0),
    0x84: ("descriptors", 32),
    0x90: ("driver", 0),
    0x94: ("driver", 32),
    0xA0: ("device", 0),
    0xA4: ("device", 32),
}
"""Halves of the selected queue's addresses: member and shift."""
_NO_SHARED_MEMORY = range(0xB0, 0xC0)
"""Length and address of a shared memory region: all ones where there is none (4.2.2.1)."""

DoubleWord = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]


class VirtioMmioState(State, kw_only=True):
    """Selectors and the interrupt status."""

    device_feature_select: DoubleWord = 0
    driver_feature_select: DoubleWord = 0
    queue_select: DoubleWord = 0
    interrupts: Byte = 0


class VirtioMmio(Device[VirtioMmioState]):
    """The transport of one device. Without one, device number 0 tells drivers to leave it alone (4.2.2.2)."""

    state_type = VirtioMmioState

    _core: AnyVirtioDevice | None = None

    def __init__(self, line: IrqLine) -> None:
        super().__init__()
        self._line = line

    def connect(self, core: AnyVirtioDevice | None) -> None:
        """Show this device, or none any more."""
        self._core = core
        if core is not None:
            core.transport = self

    def map(self, memory: MemorySpace, base: int) -> None:
        """Show the registers at `base`."""
        memory.map_mmio(base, SIZE, self.read, self.write, name="virtio-mmio")

    def queue_used(self, index: int) -> None:
        self._raise(INTERRUPT_QUEUE)

    def config_changed(self) -> None:
        self._raise(INTERRUPT_CONFIG)

    def _raise(self, bits: int) -> None:
        self.state.interrupts |= bits
        self._line(1)

    @property
    def _queue(self) -> QueueState | None:
        index, core = self.state.queue_select, self._core
        return core.queues[index].state if core is not None and index < len(core.queues) else None

    def read(self, offset: int, size: int) -> int:
        """A guest's read: registers have 32 bits, the configuration space any width."""
        core = self._core
        if core is not None and offset >= CONFIG:
            return core.read_config(offset - CONFIG, size)
        if size != 4 or offset & 3:
            return 0
        return _IDENTITY.get(offset, 0) if core is None else self._read_register(core, offset)

    def _read_register(self, core: AnyVirtioDevice, offset: int) -> int:
        state, queue = self.state, self._queue
        if offset == 0x60:
            return state.interrupts
        if offset == 0x70:
            return core.status
        if offset == 0x10:
            select = state.device_feature_select
            return core.offered >> 32 * select & 0xFFFFFFFF if select < 2 else 0
        if offset == 0x34:
            return core.queues[state.queue_select].most if queue is not None else 0
        if offset == 0x44:
            return int(queue is not None and queue.enabled)
        if offset in _NO_SHARED_MEMORY:
            return 0xFFFFFFFF
        if offset == 0x08:
            return core.device_number
        return core.state.generation if offset == 0xFC else _IDENTITY.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        """A guest's write."""
        core = self._core
        if core is None:
            return
        if offset >= CONFIG:
            core.write_config(offset - CONFIG, value.to_bytes(size, "little"))
        elif size == 4 and offset == 0x50:
            core.kick(value & 0xFFFF)
        elif (size == 4 and offset in (0x38, 0x44)) or offset in _ADDRESSES:
            self._write_queue(core, offset, value)
        elif size == 4:
            self._write_register(core, offset, value)

    def _write_register(self, core: AnyVirtioDevice, offset: int, value: int) -> None:
        state = self.state
        if offset == 0x64:
            state.interrupts &= ~value
            self.restored()
        elif offset == 0x70:
            core.set_status(value & 0xFF)
            if not value & 0xFF:
                self.reset()
        elif offset == 0x14:
            state.device_feature_select = value
        elif offset == 0x24:
            state.driver_feature_select = value
        elif offset == 0x30:
            state.queue_select = value
        elif offset == 0x20 and state.driver_feature_select < 2:
            shift = 32 * state.driver_feature_select
            core.set_driver_features(core.state.driver_features & ~(0xFFFFFFFF << shift) | value << shift)

    def _write_queue(self, core: AnyVirtioDevice, offset: int, value: int) -> None:
        queue, index = self._queue, self.state.queue_select
        if queue is None:
            return
        if offset == 0x44:
            if value & 1 and not queue.enabled:
                core.enable_queue(index)
            elif not value & 1 and queue.enabled:
                core.disable_queue(index)
        elif queue.enabled:
            return
        elif offset == 0x38:
            queue.size = min(value, core.queues[index].most)
        else:
            member, shift = _ADDRESSES[offset]
            setattr(queue, member, getattr(queue, member) & ~(0xFFFFFFFF << shift) | (value & 0xFFFFFFFF) << shift)

    def restored(self) -> None:
        self._line(1 if self.state.interrupts else 0)

"""The registers of a virtio device on PCI (VIRTIO 1.2, 4.1): the modern structures and the legacy I/O region.

The modern structures lie in one memory BAR, a page each; the legacy header in an I/O BAR. Both reach one device.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

from varan.core.ports import all_ones
from varan.core.state import Device, State
from varan.devices.fields import Byte, Word
from varan.devices.pci.function import PciFunction
from varan.devices.pci.msix import MsixTable
from varan.devices.virtio import legacy_ring
from varan.devices.virtio.device import AnyVirtioDevice
from varan.devices.virtio.features import ANY_LAYOUT, LEGACY_MASK
from varan.devices.virtio.queue import NO_VECTOR, QueueState

COMMON, ISR, CONFIG, NOTIFY = 0x0000, 0x1000, 0x2000, 0x3000
"""Offsets of the structures in the memory BAR."""
PAGE = 0x1000
MODERN_SIZE = 0x4000
NOTIFY_MULTIPLIER = 4
COMMON_SIZE = 0x3C
LEGACY_SIZE = 256

ISR_QUEUE = 1
ISR_CONFIG = 2

CAP_COMMON, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI = 1, 2, 3, 4, 5
CAP_VENDOR = 0x09

DoubleWord = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]


class VirtioPciState(State, kw_only=True):
    """Selectors, vectors and the interrupt status."""

    device_feature_select: DoubleWord = 0
    driver_feature_select: DoubleWord = 0
    queue_select: Word = 0
    config_vector: Word = NO_VECTOR
    isr: Byte = 0


class VirtioPciRegisters(Device[VirtioPciState]):
    """The transport of one device. `function` and `msix` carry its interrupts."""

    state_type = VirtioPciState

    def __init__(self, core: AnyVirtioDevice, function: PciFunction, msix: MsixTable | None, *, legacy: bool) -> None:
        super().__init__()
        self._core = core
        self._function = function
        self._msix = msix
        self._legacy_features = core.offered & LEGACY_MASK | (ANY_LAYOUT if legacy else 0)
        self._common = self._common_registers()
        core.transport = self

    # Interrupts

    def queue_used(self, index: int) -> None:
        if self._msix is not None and self._msix.enabled:
            self._msix.notify(self._core.queues[index].state.vector)
        else:
            self._raise(ISR_QUEUE)

    def config_changed(self) -> None:
        if self._msix is not None and self._msix.enabled:
            self._msix.notify(self.state.config_vector)
        else:
            self._raise(ISR_QUEUE | ISR_CONFIG if not self._core.modern else ISR_CONFIG)

    def _raise(self, bits: int) -> None:
        self.state.isr |= bits
        self._function.set_intx(1)

    def _read_isr(self) -> int:
        """Reading takes the interrupt back (4.1.4.5)."""
        isr, self.state.isr = self.state.isr, 0
        self._function.set_intx(0)
        return isr

    # The modern memory BAR

    def read(self, offset: int, size: int) -> int:
        """A guest's read from the memory BAR."""
        if offset < ISR:
            register = self._common.get(offset)
            if register is None:
                return self._half_address(offset, size)
            return register[0]() & all_ones(size)
        if offset < CONFIG:
            return self._read_isr() if offset == ISR else 0
        if offset < NOTIFY:
            return self._core.read_config(offset - CONFIG, size)
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """A guest's write to the memory BAR."""
        if offset >= NOTIFY:
            self._core.kick((offset - NOTIFY) // NOTIFY_MULTIPLIER)
        elif offset < ISR:
            register = self._common.get(offset)
            if register is not None:
                register[1](value)
            else:
                self._set_half_address(offset, size, value)
        elif offset >= CONFIG:
            self._core.write_config(offset - CONFIG, value.to_bytes(size, "little"))

    def _common_registers(self) -> dict[int, tuple[Callable[[], int], Callable[[int], None]]]:
        """Readers and writers of the common configuration by offset, the queue's addresses left out (4.1.4.3)."""
        core, state = self._core, self._now
        return {
            0x00: (lambda: state().device_feature_select, self._setter("device_feature_select")),
            0x04: (self._device_features, _read_only),
            0x08: (lambda: state().driver_feature_select, self._setter("driver_feature_select")),
            0x0C: (self._driver_features, self._set_driver_features),
            0x10: (lambda: state().config_vector, self._set_config_vector),
            0x12: (lambda: len(core.queues), _read_only),
            0x14: (lambda: core.status, self._set_status),
            0x15: (lambda: core.state.generation, _read_only),
            0x16: (lambda: state().queue_select, self._setter("queue_select", 0xFFFF)),
            0x18: (self._queue_size, self._set_queue_size),
            0x1A: (self._queue_vector, self._set_queue_vector),
            0x1C: (lambda: int(self._queue is not None and self._queue.enabled), self._enable_queue),
            0x1E: (lambda: state().queue_select if self._queue is not None else 0, _read_only),
        }

    def _now(self) -> VirtioPciState:
        return self.state

    def _setter(self, name: str, mask: int = 0xFFFFFFFF) -> Callable[[int], None]:
        return lambda value: setattr(self.state, name, value & mask)

    @property
    def _queue(self) -> QueueState | None:
        """The selected queue's state."""
        index = self.state.queue_select
        return self._core.queues[index].state if index < len(self._core.queues) else None

    def _device_features(self) -> int:
        select = self.state.device_feature_select
        return self._core.offered >> 32 * select & 0xFFFFFFFF if select < 2 else 0

    def _driver_features(self) -> int:
        select = self.state.driver_feature_select
        return self._core.state.driver_features >> 32 * select & 0xFFFFFFFF if select < 2 else 0

    def _set_driver_features(self, value: int) -> None:
        select = self.state.driver_feature_select
        if select < 2:
            kept = self._core.state.driver_features & ~(0xFFFFFFFF << 32 * select)
            self._core.set_driver_features(kept | (value & 0xFFFFFFFF) << 32 * select)

    def _set_status(self, value: int) -> None:
        self._core.set_status(value & 0xFF)
        if not value & 0xFF:
            self.reset()

    def _valid_vector(self, value: int) -> int:
        vector = value & 0xFFFF
        return vector if self._msix is not None and vector < self._msix.vectors else NO_VECTOR

    def _set_config_vector(self, value: int) -> None:
        self.state.config_vector = self._valid_vector(value)

    def _queue_size(self) -> int:
        return self._queue.size if self._queue is not None else 0

    def _set_queue_size(self, value: int) -> None:
        queue = self._queue
        if queue is not None and not queue.enabled:
            queue.size = min(value & 0xFFFF, self._core.queues[self.state.queue_select].most)

    def _queue_vector(self) -> int:
        return self._queue.vector if self._queue is not None else NO_VECTOR

    def _set_queue_vector(self, value: int) -> None:
        if self._queue is not None:
            self._queue.vector = self._valid_vector(value)

    def _enable_queue(self, value: int) -> None:
        if value & 1 and self._queue is not None and not self._queue.enabled:
            self._core.enable_queue(self.state.queue_select)

    def _half_address(self, offset: int, size: int) -> int:
        field = _ADDRESSES.get(offset & ~7)
        if field is None or self._queue is None:
            return 0
        whole: int = getattr(self._queue, field)
        return whole >> 8 * (offset & 7) & all_ones(size)

    def _set_half_address(self, offset: int, size: int, value: int) -> None:
        field, queue = _ADDRESSES.get(offset & ~7), self._queue
        if field is None or queue is None or queue.enabled or size < 4 or offset & 3:
            return
        shift = 8 * (offset & 7)
        kept = getattr(queue, field) & ~(all_ones(size) << shift)
        setattr(queue, field, (kept | value << shift) & (1 << 64) - 1)

    # The legacy I/O BAR (4.1.4.10)

    def read_port(self, offset: int, size: int) -> int:
        """A guest's read from the I/O BAR."""
        config = self._legacy_config
        if offset >= config:
            return self._core.read_config(offset - config, size)
        reader = _LEGACY_READ.get(offset)
        return reader(self) & all_ones(size) if reader is not None else 0

    def write_port(self, offset: int, size: int, value: int) -> None:
        """A guest's write to the I/O BAR."""
        config = self._legacy_config
        if offset >= config:
            self._core.write_config(offset - config, value.to_bytes(size, "little"))
            return
        writer = _LEGACY_WRITE.get(offset)
        if writer is not None:
            writer(self, value)

    @property
    def _legacy_config(self) -> int:
        return 0x18 if self._msix is not None and self._msix.enabled else 0x14

    def _legacy_page(self) -> int:
        queue = self._queue
        return queue.descriptors // legacy_ring.ALIGNMENT if queue is not None and queue.enabled else 0

    def _set_legacy_page(self, value: int) -> None:
        queue = self._queue
        if queue is None:
            return
        if not value:
            # A legacy driver that takes its queue back stops the whole device (4.1.5.1.3.1 has no other way).
            self._set_status(0)
        elif not queue.enabled:
            legacy_ring.place(queue, value & 0xFFFFFFFF)
            self._core.enable_queue(self.state.queue_select)

    def _legacy_notify(self, value: int) -> None:
        self._core.kick(value & 0xFFFF)

    def _legacy_select(self, value: int) -> None:
        self.state.queue_select = value & 0xFFFF

    def _legacy_driver_features(self, value: int) -> None:
        self._core.set_legacy_features(value & self._legacy_features)

    # Reset and load

    def restored(self) -> None:
        self._function.set_intx(1 if self.state.isr else 0)


_ADDRESSES = {0x20: "descriptors", 0x28: "driver", 0x30: "device"}
"""The selected queue's 64-bit addresses in the common configuration."""


def _read_only(value: int) -> None:
    return


_R = VirtioPciRegisters
_LEGACY_READ: dict[int, Callable[[VirtioPciRegisters], int]] = {
    0x00: lambda r: r._legacy_features,
    0x04: lambda r: r._core.state.driver_features & LEGACY_MASK,
    0x08: _R._legacy_page,
    0x0C: _R._queue_size,
    0x0E: lambda r: r.state.queue_select,
    0x12: lambda r: r._core.status,
    0x13: _R._read_isr,
    0x14: lambda r: r.state.config_vector,
    0x16: _R._queue_vector,
}
_LEGACY_WRITE: dict[int, Callable[[VirtioPciRegisters, int], None]] = {
    0x04: _R._legacy_driver_features,
    0x08: _R._set_legacy_page,
    0x0E: _R._legacy_select,
    0x10: _R._legacy_notify,
    0x12: _R._set_status,
    0x14: _R._set_config_vector,
    0x16: _R._set_queue_vector,
}


def capabilities(bar: int) -> list[tuple[bytes, bytes]]:
    """(body, write mask) of the vendor-specific capabilities that tell where the structures are (4.1.4)."""
    found = []
    for kind, offset, length in (
        (CAP_COMMON, COMMON, COMMON_SIZE),
        (CAP_ISR, ISR, PAGE),
        (CAP_DEVICE, CONFIG, PAGE),
    ):
        found.append((struct.pack("<BBB3xII", 16, kind, bar, offset, length), b""))
    notify = struct.pack("<BBB3xIII", 20, CAP_NOTIFY, bar, NOTIFY, PAGE, NOTIFY_MULTIPLIER)
    window = struct.pack("<BBB3xIII", 20, CAP_PCI, 0, 0, 0, 0)
    return [*found, (notify, b""), (window, struct.pack("<BBB3xIII", 0, 0, 0xFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF))]

"""The driver's side of virtqueues, in both layouts: a model to test devices against (VIRTIO 1.2, 2.7 and 2.8)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Protocol

from varan.core.memory import GuestRam, MemorySpace
from varan.devices.virtio.device import AnyVirtioDevice
from varan.devices.virtio.features import RING_EVENT_IDX, RING_PACKED, VERSION_1

NEXT, WRITE, INDIRECT = 1, 2, 4


class GuestMemory:
    """A small guest's RAM from address 0 on, and an allocator that never frees."""

    def __init__(self, size: int = 4 << 20) -> None:
        self.space = MemorySpace()
        self.ram = GuestRam(size)
        self.space.map_ram(0, self.ram)
        self._next = 0x1000

    def allocate(self, length: int, alignment: int = 16) -> int:
        """The address of `length` zero bytes that nobody uses."""
        address = -(-self._next // alignment) * alignment
        self._next = address + length
        assert self._next <= self.ram.size, "the guest's memory is full"
        self.write(address, bytes(length))
        return address

    def place(self, data: bytes) -> int:
        """The address of a copy of `data`."""
        address = self.allocate(len(data))
        self.write(address, data)
        return address

    def read(self, address: int, length: int) -> bytes:
        return bytes(self.ram.view[address : address + length])

    def write(self, address: int, data: bytes) -> None:
        self.ram.view[address : address + len(data)] = data

    def word(self, address: int) -> int:
        return int(struct.unpack("<H", self.read(address, 2))[0])

    def set_word(self, address: int, value: int) -> None:
        self.write(address, struct.pack("<H", value & 0xFFFF))


@dataclass
class Buffers:
    """A chain that the driver has made."""

    ranges: list[tuple[int, int, bool]]
    """(address, length, whether the device writes)."""
    descriptors: list[int] = field(default_factory=list)

    def answer(self, memory: GuestMemory) -> bytes:
        """What is in the writable buffers."""
        return b"".join(memory.read(at, length) for at, length, writable in self.ranges if writable)


def chain(memory: GuestMemory, readable: list[bytes], writable: list[int]) -> Buffers:
    """Buffers in guest memory: some with data, some for the device to fill."""
    ranges = [(memory.place(data), len(data), False) for data in readable]
    ranges += [(memory.allocate(length), length, True) for length in writable]
    return Buffers(ranges)


class DriverQueue(Protocol):
    """One layout of a driver's queue."""

    size: int
    descriptors: int
    driver: int
    device: int

    def add(self, buffers: Buffers, *, indirect: bool = False) -> bool:
        """Make a chain available; False when there is no room."""

    def must_kick(self) -> bool:
        """Whether the device wants to hear of what was added since the last question."""

    def collect(self) -> list[tuple[Buffers, int]]:
        """Chains that came back, with the bytes that the device says it wrote."""

    def suppress(self, *, interrupts: bool) -> None:
        """Do not interrupt (True), or interrupt at the next chain that comes back (False)."""


class SplitDriver:
    """A split virtqueue."""

    def __init__(self, memory: GuestMemory, size: int, *, event_index: bool = False) -> None:
        self.memory, self.size, self.event_index = memory, size, event_index
        self.descriptors = memory.allocate(16 * size)
        self.driver = memory.allocate(6 + 2 * size)
        self.device = memory.allocate(6 + 8 * size)
        self.free = list(range(size))
        self.added = self.kicked = self.seen = 0
        self.outstanding: dict[int, Buffers] = {}

    def add(self, buffers: Buffers, *, indirect: bool = False) -> bool:
        table = [(at, length, WRITE if writable else 0) for at, length, writable in buffers.ranges]
        if indirect:
            packed = b"".join(
                struct.pack("<QIHH", at, length, flags | (NEXT if index + 1 < len(table) else 0), index + 1)
                for index, (at, length, flags) in enumerate(table)
            )
            table = [(self.memory.place(packed), len(packed), INDIRECT)]
        if len(table) > len(self.free):
            return False
        taken = buffers.descriptors = [self.free.pop() for _ in table]
        for position, (index, (at, length, flags)) in enumerate(zip(taken, table, strict=True)):
            last = position + 1 == len(table)
            following = 0 if last else taken[position + 1]
            self.set_descriptor(index, at, length, flags if last else flags | NEXT, following)
        self.outstanding[taken[0]] = buffers
        self.make_available(taken[0])
        return True

    def set_descriptor(self, index: int, address: int, length: int, flags: int, following: int) -> None:
        self.memory.write(self.descriptors + 16 * index, struct.pack("<QIHH", address, length, flags, following))

    def make_available(self, head: int) -> None:
        self.memory.set_word(self.driver + 4 + 2 * (self.added % self.size), head)
        self.added += 1
        self.memory.set_word(self.driver + 2, self.added)

    def must_kick(self) -> bool:
        before, self.kicked = self.kicked, self.added
        if self.event_index:
            event = self.memory.word(self.device + 4 + 8 * self.size)
            return (self.added - event - 1) & 0xFFFF < (self.added - before) & 0xFFFF
        return self.added != before and not self.memory.word(self.device) & 1

    def collect(self) -> list[tuple[Buffers, int]]:
        done = []
        while self.seen & 0xFFFF != self.memory.word(self.device + 2):
            at = self.device + 4 + 8 * (self.seen % self.size)
            head, written = struct.unpack("<II", self.memory.read(at, 8))
            buffers = self.outstanding.pop(head)
            self.free += buffers.descriptors
            done.append((buffers, written))
            self.seen += 1
        if self.event_index:
            self.memory.set_word(self.driver + 4 + 2 * self.size, self.seen)
        return done

    def suppress(self, *, interrupts: bool) -> None:
        self.memory.set_word(self.driver, int(interrupts))
        if self.event_index:
            self.memory.set_word(self.driver + 4 + 2 * self.size, self.seen - interrupts)


class PackedDriver:
    """A packed virtqueue."""

    def __init__(self, memory: GuestMemory, size: int, *, event_index: bool = False) -> None:
        self.memory, self.size, self.event_index = memory, size, event_index
        self.descriptors = memory.allocate(16 * size)
        self.driver = memory.allocate(4)
        self.device = memory.allocate(4)
        self.position, self.wrap = 0, True
        self.used, self.used_wrap = 0, True
        self.room = size
        self.ids = list(range(size))
        self.added = self.kicked = 0
        self.outstanding: dict[int, tuple[Buffers, int]] = {}

    def add(self, buffers: Buffers, *, indirect: bool = False) -> bool:
        table = [(at, length, WRITE if writable else 0) for at, length, writable in buffers.ranges]
        if indirect:
            packed = b"".join(struct.pack("<QIHH", at, length, 0, flags) for at, length, flags in table)
            table = [(self.memory.place(packed), len(packed), INDIRECT)]
        if len(table) > self.room:
            return False
        number = self.ids.pop()
        first = self.position, b""
        for index, (at, length, flags) in enumerate(table):
            flags |= NEXT if index + 1 < len(table) else 0
            flags |= (1 << 7) if self.wrap else (1 << 15)
            entry = struct.pack("<QIHH", at, length, number, flags)
            if index == 0:
                first = self.position, entry
            else:
                self.memory.write(self.descriptors + 16 * self.position, entry)
            self._advance()
        self.memory.write(self.descriptors + 16 * first[0], first[1])
        self.room -= len(table)
        self.added += len(table)
        self.outstanding[number] = buffers, len(table)
        return True

    def _advance(self) -> None:
        self.position += 1
        if self.position == self.size:
            self.position, self.wrap = 0, not self.wrap

    def must_kick(self) -> bool:
        count, self.kicked = self.added - self.kicked, self.added
        event, flags = struct.unpack("<HH", self.memory.read(self.device, 4))
        if flags != 2:
            return bool(count and flags != 1)
        offset = event & 0x7FFF
        if bool(event >> 15) != self.wrap:
            offset -= self.size
        return bool(self.position - count <= offset < self.position)

    def collect(self) -> list[tuple[Buffers, int]]:
        done: list[tuple[Buffers, int]] = []
        while True:
            entry = self.memory.read(self.descriptors + 16 * self.used, 16)
            _, written, number, flags = struct.unpack("<QIHH", entry)
            if not bool(flags & 1 << 7) == bool(flags & 1 << 15) == self.used_wrap:
                return done
            buffers, count = self.outstanding.pop(number)
            self.ids.append(number)
            self.room += count
            self.used += count
            if self.used >= self.size:
                self.used, self.used_wrap = self.used - self.size, not self.used_wrap
            done.append((buffers, written))
            if self.event_index:
                self.suppress(interrupts=False)

    def suppress(self, *, interrupts: bool) -> None:
        if interrupts:
            self.memory.write(self.driver, struct.pack("<HH", 0, 1))
        elif self.event_index:
            self.memory.write(self.driver, struct.pack("<HH", self.used | self.used_wrap << 15, 2))
        else:
            self.memory.write(self.driver, struct.pack("<HH", 0, 0))


class CountingTransport:
    """Counts interrupts."""

    def __init__(self) -> None:
        self.used: list[int] = []
        self.config = 0

    def queue_used(self, index: int) -> None:
        self.used.append(index)

    def config_changed(self) -> None:
        self.config += 1


def make_queue(memory: GuestMemory, size: int, features: int) -> SplitDriver | PackedDriver:
    """A driver's queue of the layout that `features` say."""
    layout = PackedDriver if features & RING_PACKED else SplitDriver
    return layout(memory, size, event_index=bool(features & RING_EVENT_IDX))


def connect(device: AnyVirtioDevice, index: int, queue: DriverQueue) -> None:
    """Tell the device where its queue `index` is."""
    state = device.queues[index].state
    state.descriptors, state.driver, state.device = queue.descriptors, queue.driver, queue.device
    state.size = queue.size
    device.enable_queue(index)


def start(
    device: AnyVirtioDevice, memory: GuestMemory, features: int, size: int = 8
) -> list[SplitDriver | PackedDriver]:
    """Do what a driver does up to DRIVER_OK, with all queues; returns them."""
    device.set_status(0)
    device.set_status(1)
    device.set_status(3)
    device.set_driver_features(features | VERSION_1)
    device.set_status(11)
    assert device.status & 8, "the device does not take the features"
    queues = []
    for index in range(len(device.queues)):
        queue = make_queue(memory, size, features)
        connect(device, index, queue)
        queues.append(queue)
    device.set_status(15)
    return queues

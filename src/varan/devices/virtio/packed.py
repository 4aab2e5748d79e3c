"""The packed virtqueue (VIRTIO 1.2, 2.8): one ring of descriptors, and an event suppression area for each side.

    descriptor:         le64 address, le32 length, le16 buffer id, le16 flags
    event suppression:  le16 offset and wrap counter, le16 flags

A position in the ring goes with a wrap counter, which turns each time the position passes the ring's end.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from varan.devices.virtio.chain import MOST_BUFFERS, Chain
from varan.devices.virtio.fence import fence
from varan.devices.virtio.ram import RamWindow, RingError

if TYPE_CHECKING:
    from varan.devices.virtio.queue import QueueState

F_NEXT = 1
F_WRITE = 2
F_INDIRECT = 4
F_AVAILABLE = 1 << 7
F_USED = 1 << 15
ENABLE, DISABLE, AT_DESCRIPTOR = 0, 1, 2
"""Flags of an event suppression area."""
WRAP = 1 << 15
"""The wrap counter beside an offset."""

_DESCRIPTOR = struct.Struct("<QIHH").unpack_from
_WORD = struct.Struct("<H").unpack_from
_PUT_WORD = struct.Struct("<H").pack_into
_PUT_USED = struct.Struct("<IH").pack_into
_EVENT = struct.Struct("<HH").unpack_from
_PUT_EVENT = struct.Struct("<HH").pack_into


class PackedRing:
    """One queue's ring. Methods raise RingError for what breaks the rules."""

    def __init__(self, ram: RamWindow, state: QueueState, *, event_index: bool, indirect: bool) -> None:
        if state.descriptors % 16 or state.driver % 4 or state.device % 4:
            raise RingError("a misaligned queue")
        size = state.size
        if not 0 < size <= MOST_BUFFERS or state.next_available >= size or state.next_used >= size:
            raise RingError(f"a packed queue of {size} entries")
        self._ram = ram
        self._state = state
        self._event_index = event_index
        self._indirect = indirect
        self.slots_in_flight = 0
        """Ring entries of chains that were popped and not given back."""
        self._ring = ram.view(state.descriptors, 16 * size, True)
        self._driver = ram.view(state.driver, 4, False)
        self._device = ram.view(state.device, 4, True)

    def available(self) -> bool:
        """Whether `pop` would find a chain."""
        state = self._state
        flags: int = _WORD(self._ring, 16 * state.next_available + 14)[0]
        return bool(flags & F_AVAILABLE) == state.available_wrap and bool(flags & F_USED) != state.available_wrap

    def pop(self) -> Chain | None:
        """The next chain that the driver has made available."""
        if not self.available():
            return None
        state = self._state
        position, size = state.next_available, state.size
        chain = Chain(0, 0)
        while True:
            address, length, head, flags = _DESCRIPTOR(self._ring, 16 * position)
            chain.slots += 1
            if chain.slots + self.slots_in_flight > size:
                raise RingError("more descriptors available than the ring has")
            if flags & F_INDIRECT:
                self._add_table(chain, address, length, flags)
            else:
                chain.add(self._ram, address, length, bool(flags & F_WRITE))
            position += 1
            if position == size:
                position = 0
            if not flags & F_NEXT:
                break
        chain.head = head
        if position <= state.next_available:
            state.available_wrap = not state.available_wrap
        state.next_available = position
        self.slots_in_flight += chain.slots
        return chain

    def _add_table(self, chain: Chain, address: int, length: int, flags: int) -> None:
        if not self._indirect or flags & F_NEXT:
            raise RingError("a table of descriptors where there may be none")
        if length % 16 or not 0 < length <= 16 * MOST_BUFFERS:
            raise RingError(f"a table of descriptors of {length} bytes")
        table = self._ram.view(address, length, False)
        for at in range(0, length, 16):
            address, count, _, flags = _DESCRIPTOR(table, at)
            chain.add(self._ram, address, count, bool(flags & F_WRITE))

    def push(self, chain: Chain, written: int) -> None:
        """Give a chain back with `written` bytes in its writable buffers."""
        state = self._state
        at = 16 * state.next_used
        flags = (F_AVAILABLE | F_USED) if state.used_wrap else 0
        _PUT_USED(self._ring, at + 8, written, chain.head)
        # The flags last: they say that the rest is there.
        _PUT_WORD(self._ring, at + 14, flags | F_WRITE if written else flags)
        self._ram.memory.ram_written(state.descriptors + at, 16)
        self.slots_in_flight -= chain.slots
        state.next_used += chain.slots
        if state.next_used >= state.size:
            state.next_used -= state.size
            state.used_wrap = not state.used_wrap

    def wants_interrupt(self, pushed: int) -> bool:
        """Whether the driver wants to hear of the last `pushed` ring entries that were given back."""
        fence()
        event, flags = _EVENT(self._driver, 0)
        if flags == AT_DESCRIPTOR and self._event_index:
            state = self._state
            position = event & ~WRAP
            if bool(event & WRAP) != state.used_wrap:
                position -= state.size
            return bool(state.next_used - pushed <= position < state.next_used)
        return bool(flags != DISABLE)

    def set_notification(self, wanted: bool) -> None:
        """Ask the driver to notify (or not) when it makes the next chain available."""
        state = self._state
        if wanted and self._event_index:
            wrap = WRAP if state.available_wrap else 0
            _PUT_EVENT(self._device, 0, state.next_available | wrap, AT_DESCRIPTOR)
        else:
            flags = ENABLE if wanted else DISABLE
            if _WORD(self._device, 2)[0] == flags:
                return
            _PUT_WORD(self._device, 2, flags)
        self._ram.memory.ram_written(state.device, 4)
        fence()

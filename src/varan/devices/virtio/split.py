"""The split virtqueue (VIRTIO 1.2, 2.7): descriptor table, available ring, used ring.

descriptor:  le64 address, le32 length, le16 flags, le16 next
available:   le16 flags, le16 index, le16 ring[size], le16 used_event
used:        le16 flags, le16 index, {le32 id, le32 length} ring[size], le16 avail_event
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
NO_INTERRUPT = 1
"""In the available ring's flags."""
NO_NOTIFY = 1
"""In the used ring's flags."""

_DESCRIPTOR = struct.Struct("<QIHH").unpack_from
_WORD = struct.Struct("<H").unpack_from
_PUT_WORD = struct.Struct("<H").pack_into
_PUT_USED = struct.Struct("<II").pack_into


class SplitRing:
    """One queue's rings. Methods raise RingError for what breaks the rules."""

    def __init__(self, ram: RamWindow, state: QueueState, *, event_index: bool, indirect: bool) -> None:
        size = state.size
        if size & (size - 1) or not size:
            raise RingError(f"a split queue of {size} entries")
        if state.descriptors % 16 or state.driver % 2 or state.device % 4:
            raise RingError("a misaligned queue")
        self._ram = ram
        self._state = state
        self._mask = size - 1
        self._event_index = event_index
        self._indirect = indirect
        self._table = ram.view(state.descriptors, 16 * size, False)
        self._available = ram.view(state.driver, 6 + 2 * size, False)
        self._used = ram.view(state.device, 6 + 8 * size, True)
        self._used_event = 4 + 2 * size
        self._avail_event = 4 + 8 * size

    def available(self) -> bool:
        """Whether `pop` would find a chain."""
        return bool(_WORD(self._available, 2)[0] != self._state.next_available)

    def pop(self) -> Chain | None:
        """The next chain that the driver has made available."""
        state = self._state
        last = state.next_available
        index: int = _WORD(self._available, 2)[0]
        if index == last:
            return None
        if (index - state.next_used) & 0xFFFF > state.size:
            raise RingError("more chains available than the queue has entries")
        head: int = _WORD(self._available, 4 + 2 * (last & self._mask))[0]
        chain = Chain(head)
        self._follow(chain, head)
        state.next_available = (last + 1) & 0xFFFF
        return chain

    def _follow(self, chain: Chain, index: int) -> None:
        table, entries, ram = self._table, self._state.size, self._ram
        left = entries
        while True:
            if index >= entries:
                raise RingError(f"descriptor {index} of a table of {entries}")
            address, length, flags, following = _DESCRIPTOR(table, 16 * index)
            if flags & F_INDIRECT:
                if table is not self._table or flags & F_NEXT or not self._indirect:
                    raise RingError("a table of descriptors where there may be none")
                if length % 16 or not 0 < length <= 16 * MOST_BUFFERS:
                    raise RingError(f"a table of descriptors of {length} bytes")
                table = ram.view(address, length, False)
                left = entries = length // 16
                index = 0
                continue
            chain.add(ram, address, length, bool(flags & F_WRITE))
            left -= 1
            if not flags & F_NEXT:
                return
            if not left:
                raise RingError("a chain longer than its table")
            index = following

    def push(self, chain: Chain, written: int) -> None:
        """Give a chain back with `written` bytes in its writable buffers."""
        state = self._state
        used = state.next_used
        at = 4 + 8 * (used & self._mask)
        _PUT_USED(self._used, at, chain.head, written)
        state.next_used = used = (used + 1) & 0xFFFF
        _PUT_WORD(self._used, 2, used)
        self._ram.memory.ram_written(state.device, at + 8)

    def wants_interrupt(self, pushed: int) -> bool:
        """Whether the driver wants to hear of the last `pushed` chains that were given back."""
        fence()
        if not self._event_index:
            return not _WORD(self._available, 0)[0] & NO_INTERRUPT
        event: int = _WORD(self._available, self._used_event)[0]
        return (self._state.next_used - event - 1) & 0xFFFF < pushed

    def set_notification(self, wanted: bool) -> None:
        """Ask the driver to notify (or not) when it makes the next chain available."""
        state = self._state
        if not self._event_index:
            flags = 0 if wanted else NO_NOTIFY
            if _WORD(self._used, 0)[0] == flags:
                return
            _PUT_WORD(self._used, 0, flags)
            self._ram.memory.ram_written(state.device, 2)
        elif wanted:
            _PUT_WORD(self._used, self._avail_event, state.next_available)
            self._ram.memory.ram_written(state.device + self._avail_event, 2)
        fence()

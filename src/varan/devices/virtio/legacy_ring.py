"""Where the parts of a queue lie for a driver of the legacy interface, which only says where it starts (2.7.2)."""

from __future__ import annotations

from varan.devices.virtio.queue import QueueState

ALIGNMENT = 4096


def place(state: QueueState, page: int) -> None:
    """Set a queue's addresses from its page number."""
    state.descriptors = page * ALIGNMENT
    state.driver = state.descriptors + 16 * state.size
    end = state.driver + 6 + 2 * state.size
    state.device = -(-end // ALIGNMENT) * ALIGNMENT

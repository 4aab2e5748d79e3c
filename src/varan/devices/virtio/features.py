"""Feature bits that are no device type's own (VIRTIO 1.2, section 6)."""

from __future__ import annotations

ANY_LAYOUT = 1 << 27
"""Legacy interface only: no rules about how a message is cut into buffers. Devices here have none."""
RING_INDIRECT_DESC = 1 << 28
RING_EVENT_IDX = 1 << 29
VERSION_1 = 1 << 32
RING_PACKED = 1 << 34

LEGACY_MASK = (1 << 32) - 1
"""What a legacy driver can see."""

DEFAULT = RING_INDIRECT_DESC | RING_EVENT_IDX
"""Offered unless told otherwise."""

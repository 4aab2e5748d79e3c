"""Virtio devices (VIRTIO 1.2, OASIS): queues in guest memory, device types, and the transports that show them."""

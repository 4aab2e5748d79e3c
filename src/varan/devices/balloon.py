"""What a memory balloon is to the monitor, whatever carries it."""

from __future__ import annotations

import abc


class Balloon(abc.ABC):
    """A device that takes memory from the guest and gives it back. All under the machine lock."""

    @property
    @abc.abstractmethod
    def guest_bytes(self) -> int:
        """Bytes of memory that the guest has, those in the balloon left out."""

    @abc.abstractmethod
    def ask_for(self, size: int) -> None:
        """Have the guest make do with `size` bytes; one larger than its RAM means all of it."""

    @property
    @abc.abstractmethod
    def statistics(self) -> dict[int, int]:
        """What the guest said last of its memory, by tag (VIRTIO 1.2, 5.5.6.4); -1 for what it does not know."""

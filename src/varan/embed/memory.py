"""Guest memory for Python programs."""

from __future__ import annotations

from varan.core.memory import MemorySpace


class GuestMemory:
    """Guest-physical memory: `read`, `write`, and slices.

    The guest may run meanwhile; an access is not atomic towards it. RAM and ROM are shown; what nobody holds, or a
    device does, reads as zero.
    """

    def __init__(self, space: MemorySpace) -> None:
        self._space = space

    def read(self, address: int, length: int) -> bytes:
        """`length` bytes from physical `address`. Raises ValueError for a negative argument."""
        if address < 0 or length < 0:
            raise ValueError(f"no memory at {address:#x}+{length:#x}")
        return self._space.read_bytes(address, length)

    def write(self, address: int, data: bytes) -> None:
        """Put `data` into RAM at physical `address`. Raises ValueError unless RAM takes all of it."""
        if address < 0 or self._space.ram_slice(address, len(data)) is None:
            raise ValueError(f"{len(data)} bytes at {address:#x} do not lie in RAM")
        self._space.write_ram(address, data)

    def read_int(self, address: int, size: int) -> int:
        """The little-endian unsigned integer of `size` bytes at `address`."""
        return int.from_bytes(self.read(address, size), "little")

    def write_int(self, address: int, size: int, value: int) -> None:
        """Write `value` as a little-endian integer of `size` bytes."""
        self.write(address, value.to_bytes(size, "little"))

    def __getitem__(self, addresses: slice) -> bytes:
        """`memory[start:stop]`: bytes from physical `start` up to, not including, `stop`."""
        start, length = _bounds(addresses)
        return self.read(start, length)

    def __setitem__(self, addresses: slice, data: bytes) -> None:
        """`memory[start:stop] = data`, of exactly that many bytes."""
        start, length = _bounds(addresses)
        if length != len(data):
            raise ValueError(f"{len(data)} bytes do not fill {length}")
        self.write(start, data)


def _bounds(addresses: slice) -> tuple[int, int]:
    if (
        not isinstance(addresses, slice)
        or addresses.step is not None
        or addresses.start is None
        or addresses.stop is None
    ):
        raise TypeError("guest memory is indexed by memory[start:stop]")
    return addresses.start, max(addresses.stop - addresses.start, 0)

"""The layout of one function's configuration space: power-on contents, what a guest may write, what it may clear."""

from __future__ import annotations

import functools

import msgspec

from varan.devices.pci import registers as r
from varan.devices.pci.bar import Bar, Rom

QEMU_SUBSYSTEM_VENDOR = 0x1AF4
QEMU_SUBSYSTEM = 0x1100
"""The subsystem that the devices of QEMU's PCs have unless their own specification says otherwise."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who a function says it is. `class_code` has base class, subclass and programming interface (24 bits)."""

    vendor: int
    device: int
    class_code: int
    revision: int = 0
    subsystem_vendor: int = QEMU_SUBSYSTEM_VENDOR
    subsystem: int = QEMU_SUBSYSTEM


def _config(*registers: tuple[int, int, int]) -> bytes:
    """A configuration space with registers (offset, size, value), zeros elsewhere."""
    space = bytearray(r.CONFIG_SIZE)
    for offset, size, value in registers:
        space[offset : offset + size] = value.to_bytes(size, "little")
    return bytes(space)


_CACHE_LINE_AND_LATENCY = 0x0C
_HEADER_WRITABLE = _config(
    (r.COMMAND, 2, r.COMMAND_WRITABLE), (_CACHE_LINE_AND_LATENCY, 2, 0xFFFF), (r.INTERRUPT_LINE, 1, 0xFF)
)
_HEADER_CLEARABLE = _config((r.STATUS, 2, r.STATUS_ERRORS))


@functools.lru_cache
def _image(identity: Identity, header: int) -> bytes:
    """What the header of a function says after power-on."""
    subsystem = (
        (r.SUBSYSTEM_VENDOR_ID, 2, identity.subsystem_vendor),
        (r.SUBSYSTEM_ID, 2, identity.subsystem),
    )
    return _config(
        (r.VENDOR_ID, 2, identity.vendor),
        (r.DEVICE_ID, 2, identity.device),
        (r.REVISION_ID, 1, identity.revision),
        (r.CLASS_CODE, 3, identity.class_code),
        (r.HEADER_TYPE, 1, header),
        *(subsystem if header == r.HEADER_DEVICE else ()),
    )


class ConfigLayout:
    """Built by a function's constructor; constant once the function is on a bus."""

    def __init__(self, identity: Identity, header: int = r.HEADER_DEVICE) -> None:
        self.image = bytearray(_image(identity, header))
        """Contents after power-on."""
        self.writable = bytearray(_HEADER_WRITABLE)
        """Bits that a write sets."""
        self.clearable = bytearray(_HEADER_CLEARABLE)
        """Bits that a write of one clears."""
        self.live = bytearray(r.CONFIG_SIZE)
        """Bits that the device itself changes: with the two above, what saved state has a say in."""
        self.bars: dict[int, Bar] = {}
        """By number; a ROM is number 6."""
        self._header = header
        self._free = r.HEADER_END

    def put(self, offset: int, size: int, value: int, *, writable: int = 0, clearable: int = 0, live: int = 0) -> None:
        """Define the register of `size` bytes at `offset`: power-on value and the three masks."""
        end = offset + size
        self.image[offset:end] = value.to_bytes(size, "little")
        self.writable[offset:end] = writable.to_bytes(size, "little")
        self.clearable[offset:end] = clearable.to_bytes(size, "little")
        self.live[offset:end] = live.to_bytes(size, "little")

    def get(self, offset: int, size: int) -> int:
        """A register's power-on value."""
        return int.from_bytes(self.image[offset : offset + size], "little")

    @property
    def is_bridge(self) -> bool:
        """Whether the header is a bridge's (type 1)."""
        return self._header == r.HEADER_BRIDGE

    def bar_offset(self, index: int) -> int:
        """Where BAR `index` has its register."""
        if index == r.ROM_INDEX:
            return r.BRIDGE_ROM_BASE if self.is_bridge else r.ROM_BASE
        return r.BAR0 + 4 * index

    def add_bar(self, index: int, bar: Bar) -> None:
        """Give the function `bar` as number `index`. Raises ValueError for a number that is taken or none."""
        last = index + bar.width // 4 - 1
        most = r.ROM_INDEX if isinstance(bar, Rom) else 1 if self.is_bridge else 5
        if isinstance(bar, Rom) != (index == r.ROM_INDEX) or not 0 <= index <= last <= most:
            raise ValueError(f"a function has no BAR {index} for this")
        for number, other in self.bars.items():
            if number <= last and index < number + other.width // 4:
                raise ValueError(f"BAR {index} is taken by BAR {number}")
        self.bars[index] = bar
        self.put(self.bar_offset(index), bar.width, bar.type_bits, writable=bar.write_mask)

    def add_capability(self, cap_id: int, body: bytes, write_mask: bytes = b"") -> int:
        """Append a capability; `body` is what follows its identity and link. Returns its offset.

        `write_mask` has the guest-writable bits of `body`. Raises ValueError when the space is full.
        """
        offset, length = self._free, 2 + len(body)
        if offset + length > r.CONFIG_SIZE:
            raise ValueError("no room for a further capability")
        self._free = offset + length + 3 & ~3
        self.put(offset, length, int.from_bytes(bytes((cap_id, 0)) + body, "little"))
        self.writable[offset + 2 : offset + length] = write_mask.ljust(len(body), b"\0")
        self.image[self._last_link()] = offset
        self.image[r.STATUS] |= r.STATUS_CAPABILITIES
        return offset

    def _last_link(self) -> int:
        """Where the link of the last capability is."""
        at = r.CAPABILITY_LIST
        while self.image[at]:
            at = self.image[at] + 1
        return at

    def sanitized(self, config: bytearray) -> bytearray:
        """`config` with everything that never changes put to what it is."""
        changing = (
            int.from_bytes(self.writable, "little")
            | int.from_bytes(self.clearable, "little")
            | int.from_bytes(self.live, "little")
        )
        fixed = int.from_bytes(self.image, "little") & ~changing
        return bytearray((int.from_bytes(config, "little") & changing | fixed).to_bytes(r.CONFIG_SIZE, "little"))

"""One PCI function: its configuration space, and what follows from it (PCI Local Bus 3.0, section 6).

The guest reaches the configuration space through its bus's host bridge; decoding, interrupt and bus mastering follow
its registers at once. Handlers run under the machine lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from varan.core.state import Device, State
from varan.devices.pci import registers as r
from varan.devices.pci.bar import Bar
from varan.devices.pci.layout import ConfigLayout, Identity
from varan.devices.pci.mapping import Claim

if TYPE_CHECKING:
    from varan.devices.pci.bus import PciBus
    from varan.devices.pluggable import PluggableDevice

ConfigListener = Callable[[int, int], None]
"""(offset, size): the guest has written there."""


class PciFunctionState(State, kw_only=True):
    """Configuration space as the guest would read it, and the level of the interrupt output."""

    config: Annotated[bytearray, msgspec.Meta(min_length=r.CONFIG_SIZE, max_length=r.CONFIG_SIZE)] = msgspec.field(
        default_factory=lambda: bytearray(r.CONFIG_SIZE)
    )
    intx: bool = False


S = TypeVar("S", bound=PciFunctionState)


class PciFunction(Device[PciFunctionState]):
    """Build it, add BARs and capabilities, then put it on a bus (`PciBus.attach`)."""

    state_type = PciFunctionState

    def __init__(
        self, identity: Identity, *, name: str = "", interrupt_pin: int = 0, header: int = r.HEADER_DEVICE
    ) -> None:
        """`interrupt_pin`: 1 to 4 for INTA# to INTD#, 0 for none."""
        self.identity = identity
        self.name = name
        self.bus: PciBus | None = None
        self.devfn = 0
        """Slot and function on the bus: slot * 8 + function."""
        self.device: PluggableDevice | None = None
        """The object of which the function is a part."""
        self.secondary: PciBus | None = None
        """The bus behind a bridge."""
        self.layout = ConfigLayout(identity, header)
        self.layout.put(r.INTERRUPT_PIN, 1, interrupt_pin)
        self._listeners: list[ConfigListener] = []
        self._claims: list[Claim] = []
        super().__init__()
        self._renew()

    def add_bar(self, index: int, bar: Bar) -> None:
        """Give the function BAR `index` (a `Rom`: number 6). Raises ValueError for a number that is taken or none."""
        self.layout.add_bar(index, bar)
        self._renew()

    def add_capability(self, cap_id: int, body: bytes, write_mask: bytes = b"") -> int:
        """Append a capability; `body` is what follows its identity and link. Returns its offset.

        `write_mask` has the guest-writable bits of `body`. Raises ValueError when the space is full.
        """
        offset = self.layout.add_capability(cap_id, body, write_mask)
        self._renew()
        return offset

    def add_register(
        self, offset: int, size: int, value: int = 0, *, writable: int = 0, clearable: int = 0, live: int = 0
    ) -> None:
        """Define a register: power-on value, bits that a guest may write, that a one clears, that the device sets."""
        self.layout.put(offset, size, value, writable=writable, clearable=clearable, live=live)
        self._renew()

    def on_config_write(self, listener: ConfigListener) -> None:
        """Call `listener` after each write of the guest, and after loads and resets with (0, 256)."""
        self._listeners.append(listener)

    def _renew(self) -> None:
        self.state.config = bytearray(self.layout.image)

    # What the guest does

    def read_config(self, offset: int, size: int) -> int:
        """`size` bytes of configuration space at `offset`, little-endian; what lies beyond its end is zero."""
        return int.from_bytes(self.state.config[offset : offset + size], "little")

    def write_config(self, offset: int, size: int, value: int) -> None:
        """A guest's write, which touches what is writable. One that crosses the end of the space is dropped."""
        end = offset + size
        if end > r.CONFIG_SIZE:
            return
        layout, config = self.layout, self.state.config
        old = int.from_bytes(config[offset:end], "little")
        writable = int.from_bytes(layout.writable[offset:end], "little")
        cleared = int.from_bytes(layout.clearable[offset:end], "little") & value
        config[offset:end] = ((old & ~writable | value & writable) & ~cleared).to_bytes(size, "little")
        if offset < r.HEADER_END:
            self._header_written(offset, end)
        for listener in self._listeners:
            listener(offset, size)

    def _header_written(self, offset: int, end: int) -> None:
        if offset < r.COMMAND + 2 and end > r.COMMAND:
            self._drive()
            self.remap()
        elif r.BAR0 <= offset < r.INTERRUPT_LINE:
            self.remap()

    # What follows

    def register(self, offset: int, size: int) -> int:
        """The value of a register now."""
        return int.from_bytes(self.state.config[offset : offset + size], "little")

    def set_register(self, offset: int, size: int, value: int) -> None:
        """The device's own change of a register that was declared with `live` bits."""
        self.state.config[offset : offset + size] = value.to_bytes(size, "little")

    @property
    def command(self) -> int:
        """The command register."""
        config = self.state.config
        return config[r.COMMAND] | config[r.COMMAND + 1] << 8

    @property
    def bus_master(self) -> bool:
        """Whether the function may reach memory on its own account: it and every bridge above it were told so."""
        if not self.state.config[r.COMMAND] & r.COMMAND_MASTER:
            return False
        bridge = self.bus.bridge if self.bus is not None else None
        return bridge is None or bridge.bus_master

    @property
    def interrupt_pin(self) -> int:
        """1 to 4 for INTA# to INTD#, 0 for none."""
        return self.layout.image[r.INTERRUPT_PIN]

    def bar_address(self, index: int) -> int | None:
        """Where BAR `index` is decoded, None where it is not: switched off or not assigned."""
        bar = self.layout.bars[index]
        if not self.state.config[r.COMMAND] & (r.COMMAND_IO if bar.is_io else r.COMMAND_MEMORY):
            return None
        return bar.address(self.register(self.layout.bar_offset(index), bar.width))

    def set_intx(self, level: int) -> None:
        """Drive the interrupt pin: 1 asserted, 0 not."""
        if self.state.intx != bool(level):
            self.state.intx = bool(level)
            self._drive()

    def send_message(self, address: int, data: int) -> None:
        """A message-signalled interrupt, which is a memory write. Lost while the function is no bus master."""
        if self.bus is not None and self.bus_master:
            self.bus.fabric.send_message(address, data)

    def _drive(self) -> None:
        config = self.state.config
        if self.state.intx:
            config[r.STATUS] |= r.STATUS_INTERRUPT
        else:
            config[r.STATUS] &= ~r.STATUS_INTERRUPT
        if self.bus is not None and self.layout.image[r.INTERRUPT_PIN]:
            disabled = config[r.COMMAND + 1] & r.COMMAND_INTX_DISABLE >> 8
            self.bus.set_intx(self, 1 if self.state.intx and not disabled else 0)

    def remap(self) -> None:
        """Show the BARs where the registers, and those of the bridges above, say."""
        if self.bus is None:
            return
        wanted = [claim for index in self.layout.bars for claim in self._wanted(self.bus, index)]
        if [(claim.start, claim.end, claim.read) for claim in wanted] == [
            (claim.start, claim.end, claim.read) for claim in self._claims
        ]:
            return
        mapper = self.bus.fabric.mapper
        for claim in self._claims:
            mapper.remove(claim)
        self._claims = wanted
        for claim in wanted:
            mapper.add(claim)

    def _wanted(self, bus: PciBus, index: int) -> list[Claim]:
        base = self.bar_address(index)
        if base is None:
            return []
        bar = self.layout.bars[index]
        name = bar.name or f"{self.name} bar {index}"
        rank = (*bus.rank, self.devfn, index)
        return [
            Claim(bar.is_io, start, end, bar.read, bar.write, name=name, rank=rank, offset=start - base)
            for start, end in bus.visible(bar.is_io, base, base + bar.size)
        ]

    # Life

    def attached(self, bus: PciBus, devfn: int) -> None:
        """The function is on `bus` now (called by the bus)."""
        self.bus, self.devfn = bus, devfn
        self.restored()

    def detached(self) -> None:
        """The function leaves its bus: nothing of it answers any more (called by the bus)."""
        bus = self.bus
        assert bus is not None
        bus.set_intx(self, 0)
        for claim in self._claims:
            bus.fabric.mapper.remove(claim)
        self._claims = []
        self.bus = None

    def reset(self) -> None:
        self.state = PciFunctionState(config=bytearray(self.layout.image))
        self._follow()

    def restored(self) -> None:
        self.state.config = self.layout.sanitized(self.state.config)
        self._follow()

    def _follow(self) -> None:
        """Make everything outside follow what the registers say now."""
        self._drive()
        self.remap()
        for listener in self._listeners:
            listener(0, r.CONFIG_SIZE)

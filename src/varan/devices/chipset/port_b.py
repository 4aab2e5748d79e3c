"""System control port B (61h): timer channel 2's gate, the speaker's enable, and what can be seen of both."""

from __future__ import annotations

from varan.core.clock import Clock
from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.fields import Byte
from varan.devices.timer.i8254 import I8254

PORT = 0x61
TIMER2_GATE = 0x01
SPEAKER_DATA = 0x02
WRITABLE = 0x0F
"""Gate, speaker, and the two NMI source enables (stored: this board has no parity or channel check)."""
REFRESH = 0x10
TIMER2_OUT = 0x20
REFRESH_NS = 15_085
"""Time between two toggles of the refresh bit (18 ticks of the timer)."""
SPEAKER_CHANNEL = 2


class PortBState(State, kw_only=True):
    """The writable bits."""

    control: Byte = 0


class PortB(Device[PortBState]):
    """Port 61h on the virtual clock, wired to the timer chip."""

    state_type = PortBState

    def __init__(self, clock: Clock, pit: I8254) -> None:
        super().__init__()
        self._clock = clock
        self._pit = pit

    @property
    def speaker(self) -> bool:
        """Whether the speaker is connected to timer channel 2."""
        return bool(self.state.control & SPEAKER_DATA)

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard port."""
        ports.map(PORT, 1, self.read, self.write, name="port-b")

    def read(self, offset: int, size: int) -> int:
        value = self.state.control
        if self._clock.now() // REFRESH_NS & 1:
            value |= REFRESH
        if self._pit.output(SPEAKER_CHANNEL):
            value |= TIMER2_OUT
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        self.state.control = value & WRITABLE
        self._pit.set_gate(SPEAKER_CHANNEL, bool(value & TIMER2_GATE))

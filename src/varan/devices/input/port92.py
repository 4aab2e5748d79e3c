"""System control port A (92h): fast A20 gate and fast reset."""

from __future__ import annotations

from collections.abc import Callable

from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.fields import Byte

PORT = 0x92
FAST_RESET = 0x01
A20_GATE = 0x02


class Port92State(State, kw_only=True):
    """The two bits that do something."""

    control: Byte = A20_GATE


class Port92(Device[Port92State]):
    """Port 92h. `set_a20` is told the gate's switch, `request_reset` is called when the reset bit goes from 0 to 1."""

    state_type = Port92State

    def __init__(self, set_a20: Callable[[bool], None], request_reset: Callable[[], None]) -> None:
        super().__init__()
        self._set_a20 = set_a20
        self._request_reset = request_reset

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard port."""
        ports.map(PORT, 1, self.read, self.write, name="port92")

    def read(self, offset: int, size: int) -> int:
        return self.state.control

    def write(self, offset: int, size: int, value: int) -> None:
        before = self.state.control
        self.state.control = value & (FAST_RESET | A20_GATE)
        self.restored()
        if value & ~before & FAST_RESET:
            self._request_reset()

    def restored(self) -> None:
        self._set_a20(bool(self.state.control & A20_GATE))

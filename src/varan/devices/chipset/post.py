"""The diagnostic port 80h, and port EDh, which guests write to pass a microsecond of time."""

from __future__ import annotations

from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.fields import Byte

POST_PORT = 0x80
DELAY_PORT = 0xED


class PostState(State, kw_only=True):
    """The latch behind port 80h."""

    code: Byte = 0
    """The progress code that firmware wrote last."""


class PostPort(Device[PostState]):
    """Remembers the last power-on self test code; reads give it back."""

    state_type = PostState

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard ports."""
        ports.map(POST_PORT, 1, self.read, self.write, name="post")
        ports.map(DELAY_PORT, 1, lambda offset, size: 0xFF, lambda offset, size, value: None, name="io-delay")

    def read(self, offset: int, size: int) -> int:
        return self.state.code

    def write(self, offset: int, size: int, value: int) -> None:
        self.state.code = value

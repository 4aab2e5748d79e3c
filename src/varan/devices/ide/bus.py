"""The bus of one IDE channel: two units."""

from __future__ import annotations

from varan.devices.bus import Bus
from varan.devices.ide.channel import IdeChannel

UNITS = 2


class IdeBus(Bus):
    """`ide.0` or `ide.1`."""

    type_name = "IDE"
    abstract = False
    most_devices = UNITS

    def __init__(self, channel: IdeChannel) -> None:
        super().__init__()
        self.channel = channel

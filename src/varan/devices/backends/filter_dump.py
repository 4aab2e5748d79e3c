"""`filter-dump`: a capture of what goes through a network back end, in a pcap file."""

from __future__ import annotations

from varan.core.properties import MANDATORY, Property
from varan.devices.backends.userobject import UserObject
from varan.devices.environment import Environment
from varan.errors import InvalidParameterValue, VaranError
from varan.net.pcap import DEFAULT_LENGTH, PcapDump


class FilterDump(UserObject):
    """Writes from the time it is made until it is removed."""

    type_name = "filter-dump"
    abstract = False
    description = "capture of a network back end's frames in a pcap file"
    properties = (
        Property("netdev", "string", "id of the back end", default=MANDATORY),
        Property("file", "string", "the file, which is written anew", default=MANDATORY),
        Property("maxlen", "uint32", "bytes kept of each frame", default=DEFAULT_LENGTH),
    )
    _dump: PcapDump | None = None

    async def complete(self, environment: Environment) -> None:
        try:
            netdev = environment.ends.find_netdev(self.settings["netdev"])
        except VaranError:
            raise InvalidParameterValue("netdev", "a network backend id") from None
        self._dump = PcapDump(netdev, self.settings["file"], self.settings["maxlen"])

    async def dispose(self) -> None:
        if self._dump is not None:
            self._dump.close()

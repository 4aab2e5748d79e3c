"""A machine's network: back ends, hubs, and the adapters that use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from varan.errors import DeviceNotFound, GenericError
from varan.net import registry
from varan.net.adapter import Adapter, nth_default_mac
from varan.net.announce import Announcer
from varan.net.base import Netdev
from varan.net.hub import Hub
from varan.net.registry import Options


class Network:
    """The back ends by id, the hubs by number, which come and go with their ports, and the adapters by name."""

    def __init__(self) -> None:
        self._netdevs: dict[str, Netdev] = {}
        self._hubs: dict[int, Hub] = {}
        self._adapters: dict[str, Adapter] = {}
        self.announcer = Announcer()

    @property
    def netdevs(self) -> Mapping[str, Netdev]:
        """The back ends by id, in the order in which they came."""
        return self._netdevs

    @property
    def adapters(self) -> Mapping[str, Adapter]:
        """The adapters by name, in the order in which they came."""
        return self._adapters

    @property
    def hubs(self) -> Iterable[Hub]:
        """The hubs that have ports, by number."""
        return [self._hubs[number] for number in sorted(self._hubs) if self._hubs[number].ports]

    def hub(self, number: int) -> Hub:
        """The hub of that number, made when there is none."""
        return self._hubs.setdefault(number, Hub(number))

    def find(self, id: str) -> Netdev:
        """The back end called `id`. Raises DeviceNotFound."""
        netdev = self._netdevs.get(id)
        if netdev is None:
            raise DeviceNotFound(id)
        return netdev

    async def add(self, kind: str, id: str, options: Options) -> Netdev:
        """Make and open a back end. Raises GenericError for a taken id, NetdevError for what does not work."""
        if id in self._netdevs:
            raise GenericError(f"Duplicate ID '{id}' for netdev")
        netdev = registry.create(kind, id, options, self)
        self._netdevs[id] = netdev
        try:
            await netdev.open()
        except BaseException:
            del self._netdevs[id]
            raise
        return netdev

    async def remove(self, id: str) -> None:
        """Close and forget a back end; its adapter stays, without a carrier. Raises DeviceNotFound."""
        netdev = self.find(id)
        netdev.set_link(False)
        if netdev.peer is not None:
            netdev.detach()
        del self._netdevs[id]
        await netdev.close()

    def add_adapter(self, adapter: Adapter) -> None:
        """An adapter joins. Its name is taken as free: devices have seen to that."""
        self._adapters[adapter.name] = adapter

    def remove_adapter(self, adapter: Adapter) -> None:
        """An adapter leaves, and its back end with it."""
        adapter.disconnect()
        del self._adapters[adapter.name]

    def free_name(self, model: str) -> str:
        """A name for an adapter whose device has none: its model and the first number that is free."""
        number = 0
        while f"{model}.{number}" in self._adapters:
            number += 1
        return f"{model}.{number}"

    def free_mac(self) -> bytes:
        """The first of the default addresses that no adapter has."""
        taken = {adapter.mac for adapter in self._adapters.values()}
        number = 0
        while nth_default_mac(number) in taken:
            number += 1
        return nth_default_mac(number)

    def set_link(self, name: str, up: bool) -> None:
        """Plug the cable of an adapter or back end in or out. Raises DeviceNotFound."""
        target = self._adapters.get(name) or self._netdevs.get(name)
        if target is None:
            raise DeviceNotFound(name)
        target.set_link(up)

    async def close(self) -> None:
        """Close everything."""
        self.announcer.close()
        for netdev in reversed(list(self._netdevs.values())):
            await netdev.close()
        self._netdevs.clear()

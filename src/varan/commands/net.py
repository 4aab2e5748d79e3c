"""Handlers of schema/net.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from varan.api.values import AnnounceParameters, Netdev, RxFilterInfo, RxState
from varan.commands.registry import handler
from varan.errors import GenericError, InvalidParameterValue
from varan.machine.machine import Machine
from varan.net.adapter import Adapter, RxFilter, format_mac
from varan.net.announce import Schedule
from varan.net.network import Network

LONGEST_PAUSE = 100_000
"""Milliseconds."""
MOST_ROUNDS = 1000
ANONYMOUS = ""
"""The name of a series that was given none."""


@handler("set_link")
async def set_link(machine: Machine, name: str, up: bool) -> None:
    """Adapters come before back ends of the same name."""
    machine.network.set_link(name, up)


@handler("netdev_add")
async def netdev_add(machine: Machine, arguments: Netdev) -> None:
    """Returns when the back end is open."""
    members = msgspec.to_builtins(arguments)
    kind, id = members.pop("type"), members.pop("id")
    await machine.network.add(kind, id, list(_flat(members)))


def _flat(members: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested members as the command line spells them: `addr.host`, lists as repeated keys."""
    for key, value in members.items():
        name = prefix + key
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, list):
            yield from ((name, item["str"]) for item in value)
        elif isinstance(value, bool):
            yield name, "on" if value else "off"
        elif value is not None:
            yield name, str(value)


@handler("netdev_del")
async def netdev_del(machine: Machine, id: str) -> None:
    """Returns when the back end is closed."""
    await machine.network.remove(id)


@handler("query-rx-filter")
async def query_rx_filter(machine: Machine, name: str | None = None) -> list[RxFilterInfo]:
    """Adapters that cannot tell are left out, unless one was asked for."""
    network = machine.network
    adapters: Iterable[Adapter] = network.adapters.values() if name is None else [_adapter(network, name)]
    found = []
    for adapter in adapters:
        with machine.lock:
            rx_filter = adapter.rx_filter()
        if rx_filter is not None:
            found.append(_info(adapter, rx_filter))
        elif name is not None:
            raise GenericError(f"net client({name}) doesn't support rx-filter querying")
    return found


def _adapter(network: Network, name: str) -> Adapter:
    """Raises GenericError for a name that is no adapter's."""
    adapter = network.adapters.get(name)
    if adapter is None:
        raise GenericError(
            f"net client({name}) isn't a NIC" if name in network.netdevs else f"invalid net client name: {name}"
        )
    return adapter


def _info(adapter: Adapter, rx_filter: RxFilter) -> RxFilterInfo:
    return RxFilterInfo(
        name=adapter.name,
        promiscuous=rx_filter.promiscuous,
        multicast=RxState(rx_filter.multicast),
        unicast=RxState(rx_filter.unicast),
        vlan=RxState(rx_filter.vlan),
        broadcast_allowed=rx_filter.broadcast,
        multicast_overflow=rx_filter.multicast_overflow,
        unicast_overflow=rx_filter.unicast_overflow,
        main_mac=format_mac(adapter.mac),
        vlan_table=rx_filter.vlans,
        unicast_table=[format_mac(mac) for mac in rx_filter.stations],
        multicast_table=[format_mac(mac) for mac in rx_filter.groups],
    )


@handler("announce-self")
async def announce_self(machine: Machine, arguments: AnnounceParameters) -> None:
    """The first round is at once, on the loop."""
    for name in ("initial", "max", "step"):
        if not 0 <= getattr(arguments, name) <= LONGEST_PAUSE:
            raise InvalidParameterValue(name, f"a value between 0 and {LONGEST_PAUSE}")
    if not 0 <= arguments.rounds <= MOST_ROUNDS:
        raise InvalidParameterValue("rounds", f"a value between 0 and {MOST_ROUNDS}")
    wanted = None if isinstance(arguments.interfaces, msgspec.UnsetType) else arguments.interfaces
    name = ANONYMOUS if isinstance(arguments.id, msgspec.UnsetType) else arguments.id
    network = machine.network

    def adapters() -> list[Adapter]:
        return [adapter for adapter in network.adapters.values() if wanted is None or adapter.name in wanted]

    schedule = Schedule(arguments.initial, arguments.max, arguments.rounds, arguments.step)
    network.announcer.begin(name, schedule, adapters)

"""Network back ends and adapters."""

from __future__ import annotations

from collections.abc import Iterator

from varan.api.values import AnnounceParameters
from varan.commands import net
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.registry import INFO, command
from varan.commands.hmp.session import HmpSession
from varan.core.keyval import parse
from varan.machine.machine import Machine
from varan.net.adapter import format_mac
from varan.net.base import Netdev
from varan.net.user import UserNetdev

_ROUNDS = AnnounceParameters(initial=50, max=550, rounds=5, step=50)


@command("network", help="network adapters, back ends and hubs", group=INFO)
async def info_network(session: HmpSession) -> str:
    """Each adapter with its back end below it, then what stands alone, then hubs with their ports."""
    network = session.machine.network
    lines: list[str] = []
    for hub in network.hubs:
        lines.append(f"hub {hub.number}")
        lines += [f" \\ {port.id}: {port.description}" for port in hub.ports]
    attached: set[Netdev] = set()
    for adapter in network.adapters.values():
        link = "" if adapter.link_up else ",link=down"
        lines.append(f"{adapter.name}: index=0,type=nic,model={adapter.model},macaddr={format_mac(adapter.mac)}{link}")
        if adapter.netdev is not None:
            attached.add(adapter.netdev)
            lines.append(f" \\ {_shown(adapter.netdev)}")
    lines += [_shown(netdev) for netdev in network.netdevs.values() if netdev not in attached]
    return "".join(f"{line}\n" for line in lines)


def _shown(netdev: Netdev) -> str:
    link = "" if netdev.link_up else ",link=down"
    return f"{netdev.id}: index=0,{netdev.description}{link}"


@command("usernet", help="connections of user network back ends", group=INFO)
async def info_usernet(session: HmpSession) -> str:
    """One table for each."""
    return "".join(f"{netdev.id}:\n{netdev.connections()}" for netdev in _user_netdevs(session.machine))


def _user_netdevs(machine: Machine) -> Iterator[UserNetdev]:
    return (netdev for netdev in machine.network.netdevs.values() if isinstance(netdev, UserNetdev))


@command("set_link", "name:string up:string", help="plug a network cable in (on) or out (off)")
async def set_link(session: HmpSession, name: str, up: str) -> str:
    """As the QMP command."""
    if up not in ("on", "off"):
        raise HmpError("invalid argument up: expected on or off")
    await net.set_link(session.machine, name, up == "on")
    return ""


@command("netdev_add", "options:rest", help="add a network back end: KIND,id=ID[,option=value]...")
async def netdev_add(session: HmpSession, options: str) -> str:
    """In the grammar of -netdev."""
    pairs = [(pair.key, pair.value) for pair in parse(options, "type")]
    named = dict(pairs)
    if not named.get("type") or not named.get("id"):
        raise HmpError("parameter 'id' is missing; write KIND,id=ID[,option=value]...")
    rest = [(key, value) for key, value in pairs if key not in ("type", "id")]
    await session.machine.network.add(named["type"], named["id"], rest)
    return ""


@command("netdev_del", "id:string", help="remove a network back end")
async def netdev_del(session: HmpSession, id: str) -> str:
    """As the QMP command."""
    await net.netdev_del(session.machine, id)
    return ""


@command("announce_self", help="have network adapters tell where they are")
async def announce_self(session: HmpSession) -> str:
    """Five rounds."""
    await net.announce_self(session.machine, _ROUNDS)
    return ""


@command(
    "hostfwd_add",
    "first:string second:string?",
    help="forward a port of the host: [ID] [tcp|udp]:[HOST]:PORT-[GUEST]:PORT",
)
async def hostfwd_add(session: HmpSession, first: str, second: str = "") -> str:
    """The only user back end, or the one named."""
    netdev, rule = _user_and_rule(session.machine, first, second)
    netdev.add_forward(rule)
    return ""


@command("hostfwd_remove", "first:string second:string?", help="end a forward: [ID] [tcp|udp]:[HOST]:PORT")
async def hostfwd_remove(session: HmpSession, first: str, second: str = "") -> str:
    """Says whether there was one."""
    netdev, rule = _user_and_rule(session.machine, first, second)
    parts = rule.split(":")
    if len(parts) == 2:
        parts.insert(0, "")
    if len(parts) != 3 or parts[0] not in ("", "tcp", "udp") or not parts[2].isdigit():
        raise HmpError(f"invalid format: '{rule}'; expected [tcp|udp]:[HOST]:PORT")
    removed = netdev.remove_forward(parts[0] == "udp", parts[1] or "0.0.0.0", int(parts[2]))
    return f"host forwarding rule for {rule} {'removed' if removed else 'not found'}\n"


def _user_and_rule(machine: Machine, first: str, second: str) -> tuple[UserNetdev, str]:
    if second:
        netdev = machine.network.find(first)
        if not isinstance(netdev, UserNetdev):
            raise HmpError(f"netdev '{first}' is not of kind user")
        return netdev, second
    candidates = list(_user_netdevs(machine))
    if len(candidates) != 1:
        raise HmpError(f"there are {len(candidates)} user back ends; name one")
    return candidates[0], first

"""Commands of a virtio network card's control queue (VIRTIO 1.2, 5.1.6.5)."""

from __future__ import annotations

from varan.devices.virtio.net_filter import MAC_LENGTH, TABLE_LIMIT, VLANS, FilterState

OK, ERROR = 0, 1
CLASS_RX, CLASS_MAC, CLASS_VLAN, CLASS_ANNOUNCE = 0, 1, 2, 3
_MAC_TABLE_SET, _MAC_ADDRESS_SET = 0, 1
_VLAN_ADD, _VLAN_DELETE = 0, 1
_RX_SWITCHES = ("promiscuous", "all_multicast", "all_unicast", "no_multicast", "no_unicast", "no_broadcast")
LONGEST = 2 + 2 * (4 + MAC_LENGTH * 4096)
"""Bytes of a command that are looked at."""


def is_announce_ack(command: bytes) -> bool:
    """Whether the driver has done what an announcement asked of it."""
    return command[:2] == bytes((CLASS_ANNOUNCE, 0))


def new_address(command: bytes) -> bytes | None:
    """The card's new address, when the command gives it one."""
    if command[:2] == bytes((CLASS_MAC, _MAC_ADDRESS_SET)) and len(command) == 2 + MAC_LENGTH:
        return command[2:]
    return None


def change_filter(state: FilterState, command: bytes) -> bool:
    """Do a command that changes what passes; False when it is none or does not make sense."""
    if len(command) < 2:
        return False
    kind, verb, data = command[0], command[1], command[2:]
    if kind == CLASS_RX and verb < len(_RX_SWITCHES) and data:
        setattr(state, _RX_SWITCHES[verb], bool(data[0]))
        return True
    if kind == CLASS_MAC and verb == _MAC_TABLE_SET:
        return _set_tables(state, data)
    if kind == CLASS_VLAN and len(data) >= 2:
        return _set_vlan(state, verb, int.from_bytes(data[:2], "little"))
    return False


def _set_tables(state: FilterState, data: bytes) -> bool:
    stations = _take_table(data)
    groups = None if stations is None else _take_table(data[4 + MAC_LENGTH * len(stations) :])
    if stations is None or groups is None:
        return False
    state.unicast_overflow = len(stations) > TABLE_LIMIT
    state.stations = [] if state.unicast_overflow else stations
    state.multicast_overflow = len(groups) > TABLE_LIMIT
    state.groups = [] if state.multicast_overflow else groups
    return True


def _take_table(data: bytes) -> list[bytes] | None:
    count = int.from_bytes(data[:4], "little")
    if len(data) < 4 + MAC_LENGTH * count:
        return None
    return [data[at : at + MAC_LENGTH] for at in range(4, 4 + MAC_LENGTH * count, MAC_LENGTH)]


def _set_vlan(state: FilterState, verb: int, vlan: int) -> bool:
    if vlan >= VLANS or verb not in (_VLAN_ADD, _VLAN_DELETE):
        return False
    if verb == _VLAN_ADD:
        state.vlans.add(vlan)
    else:
        state.vlans.discard(vlan)
    return True

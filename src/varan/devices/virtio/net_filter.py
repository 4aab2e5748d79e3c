"""Which frames a virtio network card passes to its driver (VIRTIO 1.2, 5.1.6.5.1 to 5.1.6.5.3)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from varan.net.adapter import BROADCAST, RxFilter

MAC_LENGTH = 6
TABLE_LIMIT = 64
"""Addresses that one of the two tables holds; a driver that gives more gets all frames of the kind."""
VLANS = 4096
_TAG = b"\x81\x00"

Mac = Annotated[bytes, Meta(min_length=MAC_LENGTH, max_length=MAC_LENGTH)]
Table = Annotated[list[Mac], Meta(max_length=TABLE_LIMIT)]


class FilterState(msgspec.Struct, kw_only=True):
    """What the driver has chosen. A card passes everything until its driver says otherwise."""

    promiscuous: bool = True
    all_multicast: bool = False
    all_unicast: bool = False
    no_multicast: bool = False
    no_unicast: bool = False
    no_broadcast: bool = False
    multicast_overflow: bool = False
    unicast_overflow: bool = False
    stations: Table = msgspec.field(default_factory=list)
    groups: Table = msgspec.field(default_factory=list)
    vlans: set[Annotated[int, Meta(ge=0, lt=VLANS)]] = msgspec.field(default_factory=set)


def passes(state: FilterState, mac: bytes, vlan_filter: bool, frame: bytes) -> bool:
    """Whether `frame` is for the driver of the card with address `mac`."""
    if state.promiscuous:
        return True
    if vlan_filter and frame[12:14] == _TAG and (int.from_bytes(frame[14:16], "big") & 0xFFF) not in state.vlans:
        return False
    target = frame[:MAC_LENGTH]
    if target[:1] == b"" or target[0] & 1:
        return _group_passes(state, target)
    if state.no_unicast:
        return False
    return state.all_unicast or state.unicast_overflow or target == mac or target in state.stations


def _group_passes(state: FilterState, target: bytes) -> bool:
    if target == BROADCAST:
        return not state.no_broadcast
    if state.no_multicast:
        return False
    return state.all_multicast or state.multicast_overflow or target in state.groups


def describe(state: FilterState, vlan_filter: bool) -> RxFilter:
    """The filter as monitors are told of it."""

    def word(none: bool, all_: bool) -> str:
        return "none" if none else "all" if all_ else "normal"

    return RxFilter(
        promiscuous=state.promiscuous,
        multicast=word(state.no_multicast, state.all_multicast or state.multicast_overflow),
        unicast=word(state.no_unicast, state.all_unicast or state.unicast_overflow),
        vlan="normal" if vlan_filter else "all",
        broadcast=not state.no_broadcast,
        multicast_overflow=state.multicast_overflow,
        unicast_overflow=state.unicast_overflow,
        vlans=sorted(state.vlans),
        stations=list(state.stations),
        groups=list(state.groups),
    )

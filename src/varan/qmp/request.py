"""Requests: the bytes of one JSON value in, what is to be executed or what is wrong with it out."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from varan.errors import QMPBadInputObject, QmpError, QMPExtraInputObjectMember
from varan.qmp.refusals import MemberMissing, MembersClash, MemberType
from varan.qmp.wire import refuse_duplicates


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    execute: str | UnsetType = UNSET
    exec_oob: str | UnsetType = msgspec.field(default=UNSET, name="exec-oob")
    arguments: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_TYPES = {"execute": (str, "string"), "exec-oob": (str, "string"), "arguments": (dict, "object")}


class Request:
    """One value that a client sent. With `error` set it is not to be executed but refused."""

    __slots__ = ("arguments", "error", "id", "name", "oob")

    def __init__(
        self,
        name: str,
        arguments: Raw | None = None,
        id: bytes | None = None,
        oob: bool = False,
        error: QmpError | None = None,
    ) -> None:
        """`id` is the JSON text to echo, on one line."""
        self.name = name
        self.arguments = arguments
        self.id = id
        self.oob = oob
        self.error = error


def decode_request(data: bytes) -> Request:
    """The request in `data`. Raises msgspec.DecodeError, ValueError or RecursionError when that is not JSON."""
    try:
        envelope = _decode_envelope(data)
    except msgspec.ValidationError:
        return _diagnose(data)
    if not data.isascii():
        data.decode()  # msgspec.Raw takes strings unseen
    members = 0
    oob = False
    name = envelope.execute
    if name is not UNSET:
        members = 1
    if envelope.exec_oob is not UNSET:
        members += 1
        oob = True
        name = envelope.exec_oob
    if name is UNSET or members == 2:
        return _diagnose(data)
    arguments = None
    if envelope.arguments is not UNSET:
        members += 1
        arguments = envelope.arguments
        if memoryview(arguments)[0] != 0x7B:
            return _diagnose(data)
    id = None
    if envelope.id is not UNSET:
        members += 1
        id = _one_line(bytes(envelope.id))
    if data.count(b":") != members:  # colons beyond the members' own: nested objects, strings, or a key twice
        refuse_duplicates(data)
    return Request(name, arguments, id, oob)


def _one_line(id: bytes) -> bytes:
    if id[0] in b"{[":
        return msgspec.json.format(id, indent=0)
    return id


def _diagnose(data: bytes) -> Request:
    """A request that is refused, with what is wrong with it."""
    value = msgspec.json.decode(data)
    refuse_duplicates(data)
    if not isinstance(value, dict):
        return Request("", error=QMPBadInputObject("object"))
    id = msgspec.json.format(msgspec.json.encode(value["id"]), indent=0) if "id" in value else None
    oob = "exec-oob" in value and "execute" not in value
    return Request("", id=id, oob=oob, error=_wrong_member(value))


def _wrong_member(value: dict[str, Any]) -> QmpError:
    for member, content in value.items():
        if member == "id":
            continue
        if member not in _TYPES:
            return QMPExtraInputObjectMember(member)
        kind, expected = _TYPES[member]
        if not isinstance(content, kind):
            return MemberType(member, expected)
    if "execute" in value and "exec-oob" in value:
        return MembersClash()
    return MemberMissing()

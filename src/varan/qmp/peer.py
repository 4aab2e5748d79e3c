"""A client's half of the protocol: requests to bytes, and bytes to replies, events and the greeting. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from varan import errors
from varan.api.events import EVENTS, Event
from varan.errors import GenericError, QmpError, VaranError
from varan.qmp.wire import JsonStream

EVENT_LIMIT = 1000
"""Events that a client keeps for a program that does not fetch them; older ones are dropped then."""

_encode = msgspec.json.Encoder().encode


class QmpConnectionError(VaranError, ConnectionError):
    """No connection to a monitor, or none any more."""


@dataclass(frozen=True, slots=True)
class QmpEvent:
    """An event from a machine."""

    name: str
    data: dict[str, Any]
    seconds: int
    """When it happened, by the host's clock since the epoch."""
    microseconds: int

    def typed(self) -> Event | None:
        """The event as its class in `varan.api.events`; None for one that this version of Varan does not know.

        Raises msgspec.ValidationError when the data is not what the schema says.
        """
        kind = EVENTS.get(self.name)
        return None if kind is None else msgspec.convert(self.data, kind)


class ErrorBody(msgspec.Struct):
    """The value of "error"."""

    desc: str
    kind: str = msgspec.field(name="class")
    data: dict[str, Any] = {}


class _Timestamp(msgspec.Struct):
    seconds: int
    microseconds: int


class Message(msgspec.Struct):
    """Whatever a server sends."""

    returned: Raw | UnsetType = msgspec.field(default=UNSET, name="return")
    error: ErrorBody | UnsetType = UNSET
    id: Any = None
    event: str | UnsetType = UNSET
    data: dict[str, Any] | UnsetType = UNSET
    timestamp: _Timestamp | UnsetType = UNSET
    greeting: dict[str, Any] | UnsetType = msgspec.field(default=UNSET, name="QMP")

    def as_event(self) -> QmpEvent:
        """The message as the event that it is."""
        assert self.event is not UNSET
        at = self.timestamp
        seconds, microseconds = (0, 0) if at is UNSET else (at.seconds, at.microseconds)
        return QmpEvent(self.event, {} if self.data is UNSET else self.data, seconds, microseconds)


def message_stream() -> JsonStream[Message]:
    """A parser for what a server sends."""
    return JsonStream(msgspec.json.Decoder(Message).decode)


def encode_request(name: str, arguments: Any, id: int, oob: bool = False) -> bytes:
    """The line that asks for a command. `arguments`: a dict or a generated struct; None for none."""
    verb = "exec-oob" if oob else "execute"
    if arguments is None:
        return _encode({verb: name, "id": id}) + b"\n"
    return _encode({verb: name, "arguments": arguments, "id": id}) + b"\n"


def capabilities_to_enable(greeting: dict[str, Any], oob: bool) -> dict[str, Any] | None:
    """The arguments of qmp_capabilities. Raises QmpConnectionError when the server does not offer what is wanted."""
    if not oob:
        return None
    if "oob" not in greeting.get("capabilities", []):
        raise QmpConnectionError("the server does not offer out-of-band execution")
    return {"enable": ["oob"]}


def error_from(body: ErrorBody) -> QmpError:
    """The exception for an error reply: of the class that it names, else GenericError."""
    kind = getattr(errors, body.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, QmpError)):
        kind = GenericError
    error: QmpError = kind.__new__(kind)
    Exception.__init__(error, body.desc)
    error.data = body.data or ({"message": body.desc} if kind is GenericError else {})
    return error

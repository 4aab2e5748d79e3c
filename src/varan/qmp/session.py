"""One control session, without a socket: bytes in, requests to execute in their order; results in, bytes out.

    NEGOTIATING --qmp_capabilities--> READY --close--> CLOSED
         `------------------close--------------------->'

Before READY only qmp_capabilities is answered and no event is sent. At most one request is executed at a time, in
the order of arrival, except that with the capability "oob" an `exec-oob` request is handed out at once. Requests
that are not executed yet wait in a queue of `QUEUE_LIMIT`; when it is full `wants_input` is false, bytes that come
all the same stay unparsed, and the shell is to read no more. Replies leave in the order in which `reply` and
`refuse` are called. Using a method in a state or with a request it is not meant for raises SessionMisuse and changes
nothing; after `close` results are dropped, because a command may end when its client has long gone.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Collection
from typing import Any

import msgspec

from varan.api.commands import CommandInfo
from varan.api.values import QMPCapability, VersionInfo
from varan.errors import CommandNotFound, JSONParsing, QmpError, QMPExtraInputObjectMember
from varan.qmp.profile import LATEST, Profile
from varan.qmp.refusals import MembersClash, NegotiationComplete, NegotiationExpected, OobNotSupported, ValueNotAccepted
from varan.qmp.request import Request, decode_request
from varan.qmp.wire import JsonStream, Limits

QUEUE_LIMIT = 8
"""Requests that wait while another is executed."""

NEGOTIATE = "qmp_capabilities"
LINE_END = b"\r\n"

_encode = msgspec.json.Encoder().encode
_format = msgspec.json.format
_EMPTY = b"{}"


class SessionMisuse(RuntimeError):
    """A call that the session's state does not allow: a fault of the program, not of the client."""


class SessionState(enum.Enum):
    """Where a session is in its life."""

    NEGOTIATING = "negotiating"
    READY = "ready"
    CLOSED = "closed"


class Session:
    """The state of one client's connection."""

    def __init__(
        self,
        version: VersionInfo,
        *,
        profile: Profile = LATEST,
        pretty: bool = False,
        limits: Limits | None = None,
    ) -> None:
        """`pretty` spreads replies and events over several lines."""
        self.profile = profile
        self.pretty = pretty
        self._version = version
        self._state = SessionState.NEGOTIATING
        self._oob = False
        self._stream = JsonStream(decode_request, limits)
        self._queue: deque[Request] = deque()
        self._urgent: deque[Request] = deque()
        self._current: Request | None = None
        self._overtaking: list[Request] = []

    @property
    def state(self) -> SessionState:
        """Where the session is in its life."""
        return self._state

    @property
    def oob_enabled(self) -> bool:
        """Whether the client negotiated out-of-band execution."""
        return self._oob

    @property
    def wants_input(self) -> bool:
        """Whether the shell should read on."""
        return self._waiting < QUEUE_LIMIT

    @property
    def _waiting(self) -> int:
        return len(self._queue) + len(self._urgent) + len(self._overtaking)

    def greeting(self) -> bytes:
        """What the client is sent first."""
        capabilities = [QMPCapability.OOB] if self.profile.oob else []
        return self._line(_encode({"QMP": {"version": self._version, "capabilities": capabilities}}))

    def receive(self, data: bytes) -> None:
        """Take bytes from the client. Raises SessionMisuse after `close`."""
        if self._state is SessionState.CLOSED:
            raise SessionMisuse("bytes for a closed session")
        self._stream.feed(data)

    def next_request(self) -> Request | None:
        """The request to execute or refuse now; None when there is none yet or its turn has not come."""
        self._fill()
        if self._urgent:
            request = self._urgent.popleft()
            self._overtaking.append(request)
            return request
        if self._current is None and self._queue:
            self._current = self._queue.popleft()
            return self._current
        return None

    def _fill(self) -> None:
        while self._waiting < QUEUE_LIMIT:
            request = self._stream.next()
            if request is None:
                return
            if isinstance(request, JSONParsing):
                request = Request("", error=request)
            if request.oob and self._oob:
                self._urgent.append(request)
            else:
                self._queue.append(request)

    def admit(self, request: Request, command: CommandInfo | None) -> None:
        """Raise the QmpError with which `request` is to be refused, if it is; `command` is what it names."""
        if not self._oob and (request.oob or isinstance(request.error, MembersClash)):
            raise QMPExtraInputObjectMember("exec-oob")
        if request.error is not None:
            raise request.error
        if self._state is SessionState.NEGOTIATING and request.name != NEGOTIATE:
            raise NegotiationExpected(request.name)
        if command is None:
            raise CommandNotFound(request.name)
        if request.oob and not command.allow_oob:
            raise OobNotSupported(request.name)
        if self._state is not SessionState.NEGOTIATING and request.name == NEGOTIATE:
            raise NegotiationComplete(request.name)

    def negotiate(self, enable: Collection[QMPCapability] = ()) -> None:
        """End the negotiation. Raises ValueNotAccepted for a capability that was not offered."""
        if self._state is not SessionState.NEGOTIATING:
            raise SessionMisuse(f"negotiation in state {self._state.value}")
        if enable and not self.profile.oob:
            raise ValueNotAccepted("enable[0]", QMPCapability.OOB.value)
        self._oob = QMPCapability.OOB in enable
        self._state = SessionState.READY

    def reply(self, request: Request, value: Any) -> bytes:
        """Report success: the bytes to send. Raises what msgspec raises when `value` has no JSON form."""
        self._check(request)
        body = _EMPTY if value is None else _format(_encode(value), indent=0)
        self._finish(request)
        if self._state is SessionState.CLOSED:
            return b""
        id = request.id
        if self.pretty:
            return self._line(b'{"return": ' + body + (b', "id": ' + id if id is not None else b"") + b"}")
        if id is None:
            return b'{"return": ' + body + b"}\r\n"
        return b'{"return": ' + body + b', "id": ' + id + b"}\r\n"

    def finish(self, request: Request) -> bytes:
        """Report success of a command that answers only failure."""
        self._check(request)
        self._finish(request)
        return b""

    def refuse(self, request: Request, error: QmpError) -> bytes:
        """Report failure: the bytes to send."""
        self._check(request)
        body = _encode(self.profile.render(error))
        self._finish(request)
        if self._state is SessionState.CLOSED:
            return b""
        start = b'{"id": ' + request.id + b", " if request.id is not None else b"{"
        return self._line(start + b'"error": ' + body + b"}")

    def event(self, name: str, data: Any, seconds: int, microseconds: int) -> bytes:
        """The bytes that tell of an event; none before the end of negotiation. `data` has a JSON object's form."""
        if self._state is not SessionState.READY:
            return b""
        timestamp = {"seconds": seconds, "microseconds": microseconds}
        body = _encode(data)
        message: dict[str, Any] = {"timestamp": timestamp, "event": name}
        if body != _EMPTY:
            message["data"] = msgspec.Raw(body)
        return self._line(_encode(message))

    def close(self) -> None:
        """The client has gone; what waits is dropped."""
        self._state = SessionState.CLOSED
        self._queue.clear()
        self._urgent.clear()
        self._stream = JsonStream(decode_request)

    def _check(self, request: Request) -> None:
        if request is not self._current and request not in self._overtaking:
            raise SessionMisuse(f"result of a request that is not being executed: {request.name}")

    def _finish(self, request: Request) -> None:
        if request is self._current:
            self._current = None
        else:
            self._overtaking.remove(request)

    def _line(self, message: bytes) -> bytes:
        return _format(message, indent=4 if self.pretty else 0) + LINE_END

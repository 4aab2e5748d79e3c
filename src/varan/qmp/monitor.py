"""A control monitor: a session connected to a pipe, a dispatcher and the machine's events.

`Monitor` has the shape of a character device's frontend, so that any character device can carry it; a listening
socket's connections have the shape of a pipe (`varan.qmp.server`).

A client that does not read costs a bounded amount of memory. As soon as its pipe takes no more, its input is read
no further and its queue is not worked on, so that at most the replies of commands already running are added. Events
are kept up to `EVENT_BACKLOG` bytes of output; a client that lets more pile up is disconnected, since it could
not know what it missed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from varan.api.events import Event
from varan.api.values import VersionInfo
from varan.errors import GenericError
from varan.qmp.dispatch import Dispatcher, Handler, Rest
from varan.qmp.profile import LATEST, Profile
from varan.qmp.request import Request
from varan.qmp.session import Session
from varan.qmp.vigil import Vigil

EVENT_BACKLOG = 1 << 20
"""Bytes of output that may wait for a client when an event is added."""

BURST = 64
"""Requests of one client that are executed before others on the loop get their turn."""

log = logging.getLogger(__name__)


class Pipe(Protocol):
    """A connection's sending half and the valve of its receiving half."""

    def write(self, data: bytes, /) -> int:
        """Send; returns how many bytes were taken. `Monitor.writable` is called when fewer were, and more fits."""

    def close(self) -> None:
        """End the connection."""

    def pause_input(self) -> None:
        """Call `Monitor.receive` no more."""

    def resume_input(self) -> None:
        """Call it again."""


class EventSource(Protocol):
    """Who tells of events."""

    def subscribe(self, subscriber: Callable[[Event, int, int], None], /) -> Callable[[], None]:
        """Call `subscriber` with event, seconds and microseconds; the result ends that."""


class Service:
    """What the monitors of one machine share."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        events: EventSource | None,
        version: VersionInfo,
        *,
        profile: Profile = LATEST,
        preconfig: Callable[[], bool] = lambda: False,
    ) -> None:
        """`handlers`: the machine's commands, see `varan.qmp.dispatch`; `version`: what the greeting tells."""
        self.dispatcher = Dispatcher(handlers, profile=profile, preconfig=preconfig)
        self.events = events
        self.version = version
        self.profile = profile

    def monitor(self, *, pretty: bool = False) -> Monitor:
        """A monitor for one more pipe."""
        return Monitor(self, pretty=pretty)


class Monitor:
    """Carries one client at a time; a new one begins a new session. All methods are called on the loop."""

    def __init__(self, service: Service, *, pretty: bool = False) -> None:
        self._service = service
        self._dispatcher = service.dispatcher
        self._pretty = pretty
        self._pipe: Pipe | None = None
        self._session: Session | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._outbox = bytearray()
        self._reading = True
        self._pumping = False
        self._vigil = Vigil()
        self._turn: asyncio.Handle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def opened(self, pipe: Pipe) -> None:
        """A client is there: greet it."""
        if self._session is not None:
            self.closed()
        service = self._service
        self._pipe = pipe
        self._session = Session(service.version, profile=service.profile, pretty=self._pretty)
        self._reading = True
        if service.events is not None:
            self._unsubscribe = service.events.subscribe(self._tell)
        log.info("a client has come")
        self._send(self._session.greeting())

    def receive(self, data: bytes) -> None:
        """Bytes from the client."""
        session = self._session
        if session is None:
            return
        self._vigil.end()
        session.receive(data)
        self._pump()

    def writable(self) -> None:
        """The pipe takes bytes again."""
        if self._outbox and self._pipe is not None:
            taken = self._pipe.write(bytes(self._outbox))
            del self._outbox[:taken]
        self._pump()

    def closed(self) -> None:
        """The client has gone. What it started goes on; the replies are dropped."""
        if self._session is not None:
            log.info("a client has gone")
            self._session.close()
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._turn is not None:
            self._turn.cancel()
        self._session = self._unsubscribe = self._pipe = self._turn = None
        self._outbox.clear()

    def disconnect(self) -> None:
        """End the connection; what was written is still sent."""
        if self._pipe is not None:
            self._pipe.close()

    def cancel(self) -> None:
        """Cancel the commands that still run: the machine is going."""
        for task in self._tasks:
            task.cancel()

    def _pump(self) -> None:
        """Execute what has its turn, as long as the client reads."""
        if self._pumping or self._turn is not None:
            return
        self._pumping = True
        try:
            for _ in range(BURST):
                session = self._session
                if session is None or self._outbox:
                    break
                request = session.next_request()
                if request is None:
                    break
                log.debug("executing %s", request.name)
                outcome = self._dispatcher.begin(session, request)
                if isinstance(outcome, bytes):
                    self._send(outcome)
                    self._vigil.begin()
                else:
                    self._start(session, request, outcome)
            else:
                self._turn = asyncio.get_running_loop().call_soon(self._next_turn)
        finally:
            self._pumping = False
        self._regulate()

    def _next_turn(self) -> None:
        self._turn = None
        self._pump()

    def _regulate(self) -> None:
        """Read on, or not."""
        session = self._session
        if session is None or self._pipe is None:
            return
        wanted = not self._outbox and self._turn is None and session.wants_input
        if wanted == self._reading:
            return
        self._reading = wanted
        if wanted:
            self._pipe.resume_input()
        else:
            self._pipe.pause_input()

    def _start(self, session: Session, request: Request, rest: Rest) -> None:
        task = asyncio.get_running_loop().create_task(self._finish(session, request, rest), name=f"qmp {request.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, session: Session, request: Request, rest: Rest) -> None:
        try:
            reply = await rest
        except asyncio.CancelledError:
            reply = session.refuse(request, GenericError(f"Command {request.name} was cancelled"))
        if self._session is session:
            self._send(reply)
            self._pump()

    def _tell(self, event: Event, seconds: int, microseconds: int) -> None:
        session = self._session
        if session is None:
            return
        if len(self._outbox) > EVENT_BACKLOG:
            log.warning("a QMP client does not read its events: disconnected")
            self._outbox.clear()
            pipe = self._pipe
            self.closed()
            if pipe is not None:
                pipe.close()
            return
        self._send(session.event(event.NAME, event, seconds, microseconds))

    def _send(self, data: bytes) -> None:
        pipe = self._pipe
        if not data or pipe is None:
            return
        if self._outbox:
            self._outbox += data
            return
        taken = pipe.write(data)
        if taken < len(data):
            self._outbox += data[taken:]

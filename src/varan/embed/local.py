"""A machine's QMP commands and events for the program that holds it: no socket, no JSON."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import UNSET

from varan.api.client import Commands
from varan.api.commands import CommandInfo
from varan.api.events import Event
from varan.commands.registry import bind, handlers
from varan.errors import GenericError
from varan.machine.lifecycle import ENDED
from varan.machine.machine import Machine
from varan.qmp.dispatch import Dispatcher

EVENT_LIMIT = 4096
"""Events kept for a listener that does not fetch them; older ones are dropped."""


class LocalClient(Commands):
    """The typed methods of a remote client, answered by the handlers directly. Raises what they raise (`QmpError`)."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._events = machine.events
        self._listeners: set[EventListener] = set()
        self._ended = False

    @functools.cached_property
    def _dispatcher(self) -> Dispatcher:
        return Dispatcher(bind(self._machine))

    async def execute(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        self._check()
        return await self._dispatcher.execute(name, arguments)

    async def call(self, command: CommandInfo, arguments: Any) -> Any:
        self._check()
        handler = handlers().get(command.name)
        if handler is None:
            return await self._call_protocol(command)
        if arguments is None:
            return await handler(self._machine)
        if command.boxed or command.raw:
            return await handler(self._machine, arguments=arguments)
        given = {field: getattr(arguments, field) for field in arguments.__struct_fields__}
        return await handler(self._machine, **{field: value for field, value in given.items() if value is not UNSET})

    def _check(self) -> None:
        if self._ended:
            raise GenericError(ENDED)

    async def _call_protocol(self, command: CommandInfo) -> Any:
        """What concerns a session: there is nothing to negotiate here, and the rest the dispatcher knows."""
        if command.returns is None:
            return None
        return msgspec.convert(await self.execute(command.name), command.returns)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[EventListener]:
        """Within it, the machine's events from now on, as values of `varan.api.events`."""
        listener = EventListener()
        self._listeners.add(listener)
        unsubscribe = self._events.subscribe(lambda event, seconds, microseconds: listener.tell(event))
        try:
            yield listener
        finally:
            unsubscribe()
            self._listeners.discard(listener)

    def close(self) -> None:
        """The machine has ended: no event comes any more, and no command is executed (GenericError)."""
        self._ended = True
        for listener in self._listeners:
            listener.end()


class EventListener:
    """An asynchronous iterator over events; it ends with the machine."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=EVENT_LIMIT)
        self._changed = asyncio.Event()
        self._ended = False

    def tell(self, event: Event) -> None:
        """One more event."""
        self._events.append(event)
        self._changed.set()

    def end(self) -> None:
        """No more events."""
        self._ended = True
        self._changed.set()

    def __aiter__(self) -> EventListener:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()

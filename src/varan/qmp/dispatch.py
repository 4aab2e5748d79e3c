"""Requests to handlers and back: arguments decoded, the handler called, its result or error rendered.

Pure: it starts the handler's coroutine itself, because most commands are done without waiting for anything, and
hands the rest of the others back to be run in a task.
"""

from __future__ import annotations

import functools
import importlib.resources
import logging
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from varan.api.commands import COMMANDS, CommandInfo
from varan.api.values import QMPCapability
from varan.errors import CommandNotFound, GenericError, QmpError, VaranError
from varan.qmp.arguments import explain_arguments, unexpected_argument
from varan.qmp.profile import LATEST, Profile
from varan.qmp.refusals import TooEarly
from varan.qmp.request import Request
from varan.qmp.session import NEGOTIATE, Session

Handler = Callable[..., Awaitable[Any]]
"""Takes a command's arguments by keyword, those that are absent left out; gives what it returns."""

Rest = Coroutine[Any, Any, bytes]
"""What remains of a command that has to wait: to be run in a task; gives the bytes to send."""

_PROTOCOL_COMMANDS = (NEGOTIATE, "query-commands", "query-qmp-schema")
_NO_ARGUMENTS = b"{}"

log = logging.getLogger(__name__)


class Dispatcher:
    """Executes the commands of one machine, for any number of sessions.

    A handler runs in no task until it waits for the first time: `asyncio.current_task()` is None until then.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        profile: Profile = LATEST,
        preconfig: Callable[[], bool] = lambda: False,
        commands: Mapping[str, CommandInfo] = COMMANDS,
    ) -> None:
        """`preconfig` says whether there is only a configuration yet, and no machine."""
        self.profile = profile
        self._preconfig = preconfig
        table: dict[str, Handler] = {
            **handlers,
            "query-commands": self._query_commands,
            "query-qmp-schema": self._query_schema,
        }
        self._bindings = {
            name: Binding(commands[name], handler)
            for name, handler in table.items()
            if name in commands and profile.has(commands[name])
        }
        self._negotiation = Binding(commands[NEGOTIATE], _negotiate)

    @property
    def names(self) -> list[str]:
        """The commands there are."""
        return [NEGOTIATE, *self._bindings]

    def begin(self, session: Session, request: Request) -> bytes | Rest:
        """Execute or refuse what `session` handed out: the bytes to send, or what remains to be done."""
        name = request.name
        binding = self._bindings.get(name)
        try:
            if name == NEGOTIATE:
                session.admit(request, self._negotiation.command)
                session.negotiate(self._negotiation.arguments(request.arguments).get("enable", ()))
                return session.reply(request, None)
            if binding is None:
                session.admit(request, None)
                raise CommandNotFound(name)
            session.admit(request, binding.command)
            awaitable = self._call(binding, request.arguments)
            yielded = awaitable.send(None)
        except StopIteration as done:
            return self._reply(session, request, done.value)
        except QmpError as error:
            return session.refuse(request, error)
        except Exception as error:
            return session.refuse(request, _unforeseen(name, error))
        return self._rest(session, request, _resume(awaitable, yielded))

    async def execute(self, name: str, arguments: Any = None) -> Any:
        """Execute a command for a caller in this process: JSON values in and out. Raises QmpError."""
        binding = self._bindings.get(name)
        if binding is None:
            raise CommandNotFound(name)
        raw = None if arguments is None else Raw(msgspec.json.encode(arguments))
        try:
            value = await self._call(binding, raw)
        except QmpError:
            raise
        except VaranError as error:
            raise GenericError(str(error)) from error
        return msgspec.to_builtins(value) if binding.command.returns is not None else {}

    def _call(self, binding: Binding, arguments: Raw | None) -> Coroutine[Any, Any, Any]:
        if not binding.command.allow_preconfig and self._preconfig():
            raise TooEarly(binding.command.name)
        return binding.call(arguments)

    async def _rest(self, session: Session, request: Request, outcome: Awaitable[Any]) -> bytes:
        try:
            value = await outcome
        except QmpError as error:
            return session.refuse(request, error)
        except Exception as error:
            return session.refuse(request, _unforeseen(request.name, error))
        return self._reply(session, request, value)

    def _reply(self, session: Session, request: Request, value: Any) -> bytes:
        command = self._bindings[request.name].command
        if not command.success_response:
            return session.finish(request)
        try:
            return session.reply(request, None if command.returns is None else value)
        except (TypeError, ValueError) as error:
            return session.refuse(request, _unforeseen(request.name, error))

    async def _query_commands(self) -> list[dict[str, str]]:
        return [{"name": name} for name in self.names]

    async def _query_schema(self) -> Raw:
        return self._schema

    @functools.cached_property
    def _schema(self) -> Raw:
        return Raw(msgspec.json.encode(_available(introspection(), frozenset(self.names))))


class Binding:
    """A command and its handler."""

    __slots__ = ("_decode", "_fields", "_handler", "_whole", "command")

    def __init__(self, command: CommandInfo, handler: Handler) -> None:
        self.command = command
        self._handler = handler
        self._decode: Callable[[Raw | bytes], Any] | None = None
        self._fields: tuple[str, ...] = ()
        self._whole = command.boxed or command.raw or not _is_plain_struct(command.arguments)
        if command.arguments is not None:
            self._decode = _decoder(command.arguments).decode
            if not self._whole:
                self._fields = command.arguments.__struct_fields__
        elif command.raw:
            self._decode = _decoder(dict[str, Any]).decode

    def call(self, raw: Raw | None) -> Coroutine[Any, Any, Any]:
        """Start the handler: its coroutine. Raises QmpError for bad arguments."""
        if raw is None and self._decode is None:
            return _coroutine(self._handler())
        return _coroutine(self._handler(**self.arguments(raw)))

    def arguments(self, raw: Raw | None) -> dict[str, Any]:
        """The handler's keyword arguments. Raises QmpError."""
        if self._decode is None:
            if raw is not None and (error := unexpected_argument(raw)) is not None:
                raise error
            return {}
        try:
            value = self._decode(_NO_ARGUMENTS if raw is None else raw)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            kind = self.command.arguments or dict[str, Any]
            raise explain_arguments(_NO_ARGUMENTS if raw is None else raw, kind, error) from None
        if self._whole:
            return {"arguments": value}
        return {name: given for name in self._fields if (given := getattr(value, name)) is not UNSET}


@functools.cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def introspection() -> list[dict[str, Any]]:
    """The generated description of the whole schema, as query-qmp-schema returns it."""
    text = importlib.resources.files("varan.api").joinpath("introspection.json").read_bytes()
    entries: list[dict[str, Any]] = msgspec.json.decode(text)
    return entries


def _available(entries: Iterable[dict[str, Any]], names: frozenset[str]) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry["meta-type"] != "command" or entry["name"] in names]


async def _negotiate(enable: list[QMPCapability] | None = None) -> None:
    """Stands for `Session.negotiate`, which needs the session."""


def _is_plain_struct(type: Any) -> bool:
    return isinstance(type, msgspec.StructMeta)


def _coroutine(awaitable: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    return awaitable if isinstance(awaitable, types.CoroutineType) else _wait(awaitable)


async def _wait(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@types.coroutine
def _resume(coroutine: Coroutine[Any, Any, Any], yielded: Any) -> Generator[Any, Any, Any]:
    """Drive on a coroutine that has already yielded once."""
    try:
        while True:
            try:
                sent = yield yielded
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:
                yielded = coroutine.throw(error)
            else:
                yielded = coroutine.send(sent)
    except StopIteration as done:
        return done.value


def _unforeseen(name: str, error: Exception) -> GenericError:
    if isinstance(error, VaranError):
        return GenericError(str(error))
    log.error("command %s failed unexpectedly", name, exc_info=error)
    return GenericError(f"Internal error in command {name}: {type(error).__name__}: {error}")

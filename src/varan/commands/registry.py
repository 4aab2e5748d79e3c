"""Command handlers: how they register, and how they are held to the schema.

A handler is a plain async function in the module named after its schema file. Its first parameter is the machine; the
rest must have the names, annotations and defaults of the generated signature. `handler` checks that at import, so
that a handler which has drifted from the schema does not even load.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import types
import typing
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from varan.api.commands import COMMANDS, Signatures
from varan.machine.machine import Machine

Handler = Callable[..., Awaitable[Any]]
F = TypeVar("F", bound=Handler)

MODULES = (
    "control",
    "run_state",
    "machine",
    "char",
    "qom",
    "qdev",
    "pci",
    "misc",
    "net",
    "job",
    "ui",
    "block_core",
    "block_jobs",
    "block_media",
    "block_throttle",
    "block_query",
    "block_keys",
    "block_snapshots",
    "block_bitmaps",
    "transaction",
)
"""One per schema file that has commands of the machine."""

PROTOCOL_COMMANDS = frozenset({"qmp_capabilities", "query-commands", "query-qmp-schema"})
"""What a control monitor answers by itself: these concern the session, not the machine."""


class HandlerError(TypeError):
    """A handler that the schema does not know, or that does not have the schema's signature."""


def handler(name: str) -> Callable[[F], F]:
    """Register the function as the handler of command `name`. Raises HandlerError when the schema disagrees."""

    def register(function: F) -> F:
        check_signature(name, function)
        function.qmp_command = name  # type: ignore[attr-defined]
        return function

    return register


def check_signature(name: str, function: Handler) -> None:
    """Raise HandlerError unless `function` takes a machine and then exactly what command `name` takes."""
    command = COMMANDS.get(name)
    if command is None:
        raise HandlerError(f"{function.__qualname__}: the schema has no command '{name}'")
    if not inspect.iscoroutinefunction(function):
        raise HandlerError(f"handler of '{name}': {function.__qualname__} is not an async function")
    wanted = _signature(getattr(Signatures, command.function))
    actual = _signature(function)
    if actual != wanted:
        raise HandlerError(f"handler of '{name}': {_render(actual)} where the schema has {_render(wanted)}")


_Signature = tuple[list[tuple[str, Any, Any]], Any]


def _signature(function: Callable[..., Any]) -> _Signature:
    """(name, annotation, default) of each parameter after the first, and the annotation of the result."""
    hints = typing.get_type_hints(function)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return (
        [(parameter.name, hints.get(parameter.name), parameter.default) for parameter in parameters],
        hints.get("return"),
    )


def _render(signature: _Signature) -> str:
    parameters, returns = signature
    parts = [
        f"{name}: {inspect.formatannotation(annotation)}"
        + ("" if default is inspect.Parameter.empty else f" = {default!r}")
        for name, annotation, default in parameters
    ]
    return f"({', '.join(parts)}) -> {inspect.formatannotation(returns)}"


@functools.cache
def handlers() -> Mapping[str, Handler]:
    """Every handler by the name of its command."""
    found: dict[str, Handler] = {}
    for module_name in MODULES:
        module = importlib.import_module(f"varan.commands.{module_name}")
        for value in vars(module).values():
            name = getattr(value, "qmp_command", None)
            if isinstance(value, types.FunctionType) and value.__module__ == module.__name__ and name is not None:
                if name in found:
                    raise HandlerError(f"command '{name}' has two handlers")
                found[name] = value
    return types.MappingProxyType(found)


def bind(machine: Machine) -> Mapping[str, Handler]:
    """Every handler with `machine` as its first argument: what a control monitor dispatches to."""
    return {name: functools.partial(function, machine) for name, function in handlers().items()}

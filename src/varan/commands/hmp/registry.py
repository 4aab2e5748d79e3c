"""The human monitor's commands.

A command is an async function in a module of `varan.commands.hmp.commands`, decorated with `command`: a new one is
added by writing it into a file there, and help and completion pick it up. The function gets the session and then, by
name, the arguments that its declaration (see `varan.commands.hmp.line`) lists; what it returns is shown.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import types
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from varan.commands.hmp.line import Argument, declare

Run = Callable[..., Awaitable[str]]
F = TypeVar("F", bound=Run)

INFO = "info"
"""The group of commands that are typed after the word `info`."""


@dataclass(frozen=True, slots=True)
class HmpCommand:
    """One command. `group` is "" or INFO."""

    name: str
    arguments: tuple[Argument, ...]
    help: str
    run: Run
    aliases: tuple[str, ...] = ()
    group: str = ""

    @property
    def spellings(self) -> str:
        """Its name and aliases, as help shows them."""
        return "|".join((self.name, *self.aliases))

    def usage(self) -> str:
        """How it is typed."""
        head = f"{self.group} {self.spellings}" if self.group else self.spellings
        shown = [argument.usage() for argument in self.arguments]
        if shown and shown[0].startswith("[/"):
            head += shown.pop(0)
        return " ".join([head, *shown])


@dataclass(frozen=True, slots=True)
class Registry:
    """Commands by every spelling, top-level ones and those under `info`."""

    top: Mapping[str, HmpCommand]
    info: Mapping[str, HmpCommand]


def command(
    name: str, arguments: str = "", *, help: str, aliases: tuple[str, ...] = (), group: str = ""
) -> Callable[[F], F]:
    """Make the function a command of the human monitor."""

    def register(function: F) -> F:
        function.hmp_command = HmpCommand(  # type: ignore[attr-defined]
            name, declare(arguments), help, function, aliases, group
        )
        return function

    return register


@functools.cache
def registry() -> Registry:
    """Every command there is."""
    groups: dict[str, dict[str, HmpCommand]] = {"": {}, INFO: {}}
    package = importlib.import_module("varan.commands.hmp.commands")
    for found in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for value in vars(module).values():
            entry = getattr(value, "hmp_command", None)
            if isinstance(entry, HmpCommand) and value.__module__ == module.__name__:
                _add(groups[entry.group], entry)
    return Registry(types.MappingProxyType(groups[""]), types.MappingProxyType(groups[INFO]))


def _add(table: dict[str, HmpCommand], entry: HmpCommand) -> None:
    for spelling in (entry.name, *entry.aliases):
        if spelling in table:
            raise TypeError(f"the human monitor has two commands '{spelling}'")
        table[spelling] = entry

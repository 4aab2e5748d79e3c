"""What a server's introspection says, for people: commands, their arguments, their values."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from varan.api.client import Commands
from varan.api.commands import COMMANDS

WIDEST_ENUM = 8
"""Values of an enumeration that are listed in a type's place; more are cut."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A member of a command's arguments."""

    name: str
    type: str
    """In words: `int`, `str`, `read|write`, `[str]`, `object`."""
    optional: bool
    values: tuple[str, ...]
    """What it may be, where that is a short list."""


class Catalogue:
    """The commands of a server."""

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """`entries`: what query-qmp-schema returned."""
        self._types: dict[str, Mapping[str, Any]] = {}
        self._commands: dict[str, Mapping[str, Any]] = {}
        for entry in entries:
            if entry["meta-type"] == "command":
                self._commands[entry["name"]] = entry
            elif entry["meta-type"] != "event":
                self._types[entry["name"]] = entry

    @classmethod
    def of_names(cls, names: Iterable[str]) -> Catalogue:
        """For a server without introspection: commands of which only the names are known."""
        return cls({"meta-type": "command", "name": name} for name in names)

    @property
    def commands(self) -> list[str]:
        """The names of all commands, sorted."""
        return sorted(self._commands)

    def arguments(self, command: str) -> list[Argument]:
        """The arguments of a command; none for an unknown one."""
        entry = self._commands.get(command, {})
        members = self._types.get(entry.get("arg-type", ""), {}).get("members", [])
        return [
            Argument(member["name"], self._words(member["type"]), "default" in member, self._values(member["type"]))
            for member in members
        ]

    def help(self, command: str) -> str | None:
        """A command's synopsis and, where this version of Varan has it, its documentation; None for an unknown one."""
        entry = self._commands.get(command)
        if entry is None:
            return None
        words = [
            f"[{item.name}={item.type}]" if item.optional else f"{item.name}={item.type}"
            for item in self.arguments(command)
        ]
        lines = [" ".join([command, *words])]
        returned = self._words(entry.get("ret-type", ""))
        if returned:
            lines.append(f"  returns {returned}")
        known = COMMANDS.get(command)
        text = inspect.getdoc(getattr(Commands, known.function)) if known is not None else None
        if text:
            for item in self.arguments(command):
                text = text.replace(f"\n{item.name.replace('-', '_')}: ", f"\n{item.name}: ")
            lines += ["", *(f"  {line}".rstrip() for line in text.splitlines())]
        return "\n".join(lines)

    def _values(self, type: str) -> tuple[str, ...]:
        entry = self._types.get(type, {})
        if entry.get("meta-type") == "enum":
            return tuple(entry["values"])
        return ("true", "false") if entry.get("json-type") == "boolean" else ()

    def _words(self, type: str) -> str:
        entry = self._types.get(type)
        if entry is None:
            return ""
        match entry["meta-type"]:
            case "builtin":
                return str(entry["name"])
            case "enum":
                values = entry["values"]
                return "|".join(values[:WIDEST_ENUM]) + ("|..." if len(values) > WIDEST_ENUM else "")
            case "array":
                return f"[{self._words(entry['element-type'])}]"
            case "alternate":
                return "|".join(self._words(member["type"]) for member in entry["members"])
        members = [f"{member['name']}{'?' if 'default' in member else ''}" for member in entry.get("members", [])]
        return "{" + ", ".join(members) + "}" if members else ""

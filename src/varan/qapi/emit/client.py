"""`varan.api.client`: a method per command, over two abstract ones that do the talking."""

from __future__ import annotations

from varan.qapi.emit.commands import (
    arguments_class,
    has_named_arguments,
    has_own_arguments,
    is_raw,
    own_names,
    returned,
    signature,
)
from varan.qapi.emit.fields import INDENT, passed_on
from varan.qapi.emit.names import Annotations, TypeNames, identifier
from varan.qapi.emit.text import HEADER, call, docstring, imports
from varan.qapi.model import Command, Schema

_PREAMBLE = '''

class Commands(abc.ABC):
    """Every command as a method; who derives from it says how commands travel."""

    @abc.abstractmethod
    async def execute(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """Execute a command by name: plain JSON values in and out."""

    @abc.abstractmethod
    async def call(self, command: CommandInfo, arguments: Any) -> Any:
        """Execute a command: typed arguments (None for none) in, a value of type `command.returns` out."""
'''

_BODY = INDENT * 2


def emit_client(schema: Schema, names: TypeNames) -> str:
    commands = list(schema.commands.values())
    types = Annotations(names, own_names(schema) | {"Commands"})
    methods: list[str] = []
    for command in commands:
        methods += ["", *_method(command, types)]
    own = [arguments_class(command) for command in commands if has_own_arguments(command)]
    lines = [
        *["", "import abc", "from typing import Any", "", "from msgspec import UNSET, UnsetType", ""],
        *imports(".commands", ["COMMANDS", "CommandInfo", *sorted(own)]),
        *imports(".values", types.imported()),
        _PREAMBLE.rstrip("\n"),
        *methods,
    ]
    return HEADER.format(summary="A client's view of the machine protocol.") + "\n".join(lines) + "\n"


def _method(command: Command, types: Annotations) -> list[str]:
    result = returned(command, types)
    head = call(
        f"async def {identifier(command.own_name)}", ["self", *signature(command, types)], f" -> {result}:", INDENT
    )
    lines = [*head, *docstring(_documentation(command), _BODY)]
    if is_raw(command):
        invocation = [f'{_BODY}await self.execute("{command.name}", arguments)']
    else:
        invocation = call("await self.call", [f'COMMANDS["{command.name}"]', _arguments(command, types)], "", _BODY)
    if result == "None":
        return [*lines, *invocation]
    invocation[0] = f"{_BODY}result: {result} = {invocation[0].strip()}"
    return [*lines, *invocation, f"{_BODY}return result"]


def _arguments(command: Command, types: Annotations) -> str:
    if command.arguments is None or not (has_own_arguments(command) or has_named_arguments(command)):
        return "None"
    if command.boxed:
        return "arguments"
    name = types.for_people(command.arguments) if has_named_arguments(command) else arguments_class(command)
    return f"{name}({', '.join(passed_on(command.arguments.all_members()))})"


def _documentation(command: Command) -> str:
    if command.doc is None:
        return ""
    parts = [command.doc.text]
    parts += [f"{identifier(section.name)}: {section.text}" for section in command.doc.members.values()]
    for tag in ("Returns", "Errors"):
        section = command.doc.tagged(tag)
        if section is not None:
            parts.append(f"{tag}: {section.text}" if "\n" not in section.text else f"{tag}:\n{section.text}")
    return "\n\n".join(part for part in parts if part)

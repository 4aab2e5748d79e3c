"""`varan.api.commands`: the arguments of each command, the table of commands, and the signatures of handlers."""

from __future__ import annotations

from varan.qapi.emit.fields import INDENT, parameters, struct_fields
from varan.qapi.emit.names import Annotations, TypeNames, camel, identifier
from varan.qapi.emit.text import HEADER, call, docstring, imports
from varan.qapi.model import Command, Schema

_PREAMBLE = '''

class CommandInfo(Struct, frozen=True):
    """What a dispatcher and a client need to know of a command."""

    name: str
    function: str
    """The name as Python's."""
    arguments: Any = None
    """The type that "arguments" is decoded to; None if there are none to decode."""
    returns: Any = None
    """The type of "return"; None for the empty object."""
    boxed: bool = False
    """The handler gets the arguments as one value, not as parameters."""
    raw: bool = False
    """The handler gets a dict: the schema does not list all members."""
    success_response: bool = True
    """Whether success is answered."""
    allow_oob: bool = False
    allow_preconfig: bool = False
    since: str | None = None
    """The protocol version that brought it."""
    removed: str | None = None
    """The first protocol version without it."""
    features: tuple[str, ...] = ()

'''

OWN_NAMES = frozenset({"CommandInfo", "COMMANDS", "Signatures", "Any", "Protocol", "Struct", "UNSET", "UnsetType"})


def arguments_class(command: Command) -> str:
    return f"{camel(command.own_name)}Arguments"


def own_names(schema: Schema) -> frozenset[str]:
    return OWN_NAMES | {arguments_class(command) for command in schema.commands.values()}


def has_own_arguments(command: Command) -> bool:
    """Whether `varan.api.commands` has a class for the arguments (else they are a type of the schema, or none)."""
    arguments = command.arguments
    return command.generated and arguments is not None and arguments.implicit and bool(arguments.members)


def has_named_arguments(command: Command) -> bool:
    arguments = command.arguments
    return command.generated and arguments is not None and not arguments.implicit


def is_raw(command: Command) -> bool:
    """Whether the arguments are passed on as they come, because the schema does not list them all."""
    return not command.generated and command.arguments is not None


def emit_commands(schema: Schema, names: TypeNames) -> str:
    types = Annotations(names, own_names(schema))
    commands = list(schema.commands.values())
    classes: list[str] = []
    for command in commands:
        if has_own_arguments(command):
            classes += _arguments(command, types)
    table = ["", "", "COMMANDS: dict[str, CommandInfo] = {"]
    for command in commands:
        table += call(f'"{command.name}": CommandInfo', _info(command, types), ",", INDENT)
    table.append("}")
    signatures = _signatures(commands, types)
    head = HEADER.format(summary="The commands of the machine protocol.")
    lines = [
        *["", "from typing import Any, Protocol", "", "from msgspec import UNSET, Struct, UnsetType, field", ""],
        *imports(".values", types.imported()),
        _PREAMBLE.rstrip("\n"),
        *classes,
        *table,
        *signatures,
    ]
    return head + "\n".join(lines) + "\n"


def _arguments(command: Command, types: Annotations) -> list[str]:
    assert command.arguments is not None
    options = "kw_only=True, omit_defaults=True, forbid_unknown_fields=True"
    return [
        *["", "", f"class {arguments_class(command)}(Struct, {options}):"],
        *struct_fields(command.arguments.all_members(), types),
    ]


def _info(command: Command, types: Annotations) -> list[str]:
    options = [f'"{command.name}"', f'"{identifier(command.own_name)}"']
    if has_own_arguments(command):
        options.append(f"arguments={arguments_class(command)}")
    elif has_named_arguments(command) and command.arguments is not None:
        options.append(f"arguments={types.for_decoding(command.arguments)}")
    if command.returns is not None:
        options.append(f"returns={types.for_decoding(command.returns)}")
    flags = {
        "boxed": command.boxed,
        "raw": is_raw(command),
        "allow_oob": command.allow_oob,
        "allow_preconfig": command.allow_preconfig,
    }
    options += [f"{flag}=True" for flag, is_set in flags.items() if is_set]
    if not command.success_response:
        options.append("success_response=False")
    if command.since:
        options.append(f'since="{command.since}"')
    if command.removed:
        options.append(f'removed="{command.removed}"')
    if command.features:
        listed = "".join(f'"{feature.name}", ' for feature in command.features)
        options.append(f"features=({listed.rstrip(' ') if len(command.features) == 1 else listed[:-2]})")
    return options


def signature(command: Command, types: Annotations) -> list[str]:
    """The parameters after the first."""
    if is_raw(command):
        return ["arguments: dict[str, Any]"]
    if command.arguments is None:
        return []
    if command.boxed:
        return [f"arguments: {types.for_people(command.arguments)}"]
    return parameters(command.arguments.all_members(), types)


def returned(command: Command, types: Annotations) -> str:
    return "None" if command.returns is None else types.for_people(command.returns)


def _signatures(commands: list[Command], types: Annotations) -> list[str]:
    lines = ["", "", "class Signatures(Protocol):"]
    lines += docstring("The handlers' signatures, but for what they get first: the machine.", INDENT)
    for command in commands:
        start = f"async def {identifier(command.own_name)}"
        end = f" -> {returned(command, types)}: ..."
        lines += ["", *call(start, ["self", *signature(command, types)], end, INDENT)]
    return lines

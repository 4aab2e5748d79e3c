"""The members of an object as the fields of a msgspec Struct, and as the parameters of a function."""

from __future__ import annotations

from collections.abc import Iterable

from varan.qapi.emit.names import Annotations, accepts_null, identifier
from varan.qapi.emit.text import docstring
from varan.qapi.model import Member

INDENT = "    "


def struct_fields(members: Iterable[Member], types: Annotations) -> list[str]:
    """One field per member, each followed by its documentation."""
    lines: list[str] = []
    for member in members:
        name = identifier(member.name)
        annotation = types.for_decoding(member.type)
        options = []
        if member.optional:
            annotation += " | UnsetType"
            options.append("default=UNSET")
        if name != member.name:
            options.append(f'name="{member.name}"')
        value = f" = field({', '.join(options)})" if name != member.name else " = UNSET" if options else ""
        lines.append(f"{INDENT}{name}: {annotation}{value}")
        lines.extend(docstring(member.doc.text if member.doc else "", INDENT))
    return lines


def parameters(members: Iterable[Member], types: Annotations) -> list[str]:
    """What may be left out comes last, and is None; where null means something, it is UNSET instead."""
    required, optional = [], []
    for member in members:
        name, annotation = identifier(member.name), types.for_people(member.type)
        if not member.optional:
            required.append(f"{name}: {annotation}")
        elif accepts_null(member.type):
            optional.append(f"{name}: {annotation} | UnsetType = UNSET")
        else:
            optional.append(f"{name}: {annotation} | None = None")
    return required + optional


def passed_on(members: Iterable[Member]) -> list[str]:
    """The keyword arguments that make the Struct of `struct_fields` from `parameters`."""
    arguments = []
    for member in members:
        name = identifier(member.name)
        if member.optional and not accepts_null(member.type):
            arguments.append(f"{name}=UNSET if {name} is None else {name}")
        else:
            arguments.append(f"{name}={name}")
    return arguments

"""`varan.api.events`: a class per event."""

from __future__ import annotations

from varan.qapi.emit.fields import INDENT, struct_fields
from varan.qapi.emit.names import Annotations, TypeNames, camel, cannot_emit
from varan.qapi.emit.text import HEADER, docstring, imports
from varan.qapi.model import Event, Schema

_PREAMBLE = '''

class Event(Struct, omit_defaults=True):
    """Something that happened to the machine; the fields are the members of "data"."""

    NAME: ClassVar[str]
'''


def emit_events(schema: Schema, names: TypeNames) -> str:
    events = list(schema.events.values())
    own = frozenset(camel(event.name) for event in events) | {"Event", "EVENTS", "ClassVar", "Struct", "Any"}
    types = Annotations(names, own)
    classes: list[str] = []
    for event in events:
        classes += _class(event, types)
    table = [f'{INDENT}"{event.name}": {camel(event.name)},' for event in events]
    lines = [
        *["", "from typing import Any, ClassVar", "", "from msgspec import UNSET, Struct, UnsetType, field", ""],
        *imports(".values", types.imported()),
        _PREAMBLE.rstrip("\n"),
        *classes,
        *["", "", "EVENTS: dict[str, type[Event]] = {", *table, "}"],
    ]
    return HEADER.format(summary="The events of the machine protocol.") + "\n".join(lines) + "\n"


def _class(event: Event, types: Annotations) -> list[str]:
    lines = ["", "", f"class {camel(event.name)}(Event, kw_only=True):"]
    doc = docstring(event.doc.text if event.doc else "", INDENT)
    if doc:
        lines += [*doc, ""]
    lines.append(f'{INDENT}NAME: ClassVar[str] = "{event.name}"')
    if event.arguments is not None:
        if event.arguments.discriminator is not None:
            raise cannot_emit(f"event '{event.name}': its data is a union")
        lines += struct_fields(event.arguments.all_members(), types)
    return lines

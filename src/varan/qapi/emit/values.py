"""`varan.api.values`: a class per enumeration and struct, a class per branch of a union, an alias for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from varan.qapi.emit.fields import INDENT, struct_fields
from varan.qapi.emit.names import Annotations, TypeNames, camel, cannot_emit, constant, identifier, integer
from varan.qapi.emit.text import HEADER, WIDTH, docstring
from varan.qapi.model import Alternate, Array, Builtin, Command, Enum, Event, Member, Object, Schema, Type

_IMPORTS = """
import enum
from typing import Annotated, Any, ClassVar, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field
"""

_BASES = '''
class Input(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A value that clients send: members it does not have are errors."""


class Output(Struct, omit_defaults=True):
    """A value that only servers send: clients overlook what a newer server adds."""
'''


def emit_values(schema: Schema, names: TypeNames) -> str:
    """QapiError: the schema has a type that there is no Python for."""
    return _Values(schema, names).emit()


class _Values:
    def __init__(self, schema: Schema, names: TypeNames) -> None:
        self.schema = schema
        self.names = names
        self.types = Annotations(names)
        self.inputs = _reachable(command.arguments for command in schema.commands.values())
        self.done: set[Object] = set()
        self.lines: list[str] = []
        self.aliases: list[tuple[Object | Alternate, str, list[str]]] = []

    def emit(self) -> str:
        for known in self.schema.types.values():
            if isinstance(known, Enum):
                self._enum(known)
        for known in [*self.schema.types.values(), *_nested(self.schema)]:
            if isinstance(known, Object):
                self._object(known)
            elif isinstance(known, Alternate):
                self._alternate(known)
        summary = "The values that the machine protocol's commands and events carry."
        head = HEADER.format(summary=summary) + _IMPORTS
        integers = "\n".join(self._integers())
        body = "\n".join([*self.lines, *self._ordered_aliases()])
        return f"{head}\n{integers}\n\n{_BASES}{body}\n"

    def _integers(self) -> list[str]:
        """msgspec compares with 64 signed bits at most: the upper bound of unsigned ones is left to JSON."""
        lines = {}
        for known in self.schema.types.values():
            if isinstance(known, Builtin) and known.minimum is not None and known.maximum is not None:
                upper = f", le={known.maximum}" if known.maximum < 1 << 63 else ""
                name = integer(known)
                lines[name] = f"{name}: TypeAlias = Annotated[int, Meta(ge={known.minimum}{upper})]"
        return [lines[name] for name in sorted(lines)]

    def _enum(self, known: Enum) -> None:
        self.lines += ["", "", f"class {self.names.of(known)}(enum.Enum):"]
        body = docstring(known.doc.text if known.doc else "", INDENT)
        if body:
            self.lines += [*body, ""]
        for value in known.values:
            self.lines.append(f'{INDENT}{constant(value.name)} = "{value.name}"')
            self.lines += docstring(value.doc.text if value.doc else "", INDENT)
        if not body and not known.values:
            self.lines.append(f"{INDENT}pass")

    def _object(self, known: Object) -> None:
        if known in self.done:
            return
        self.done.add(known)
        if known.discriminator is not None:
            self._union(known)
            return
        if known.base is not None:
            self._object(known.base)
        self._class(self.names.of(known), known, self._base(known), known.members)

    def _base(self, known: Object) -> str:
        if known.base is not None:
            return self.names.of(known.base)
        return "Input" if known in self.inputs else "Output"

    def _class(self, name: str, known: Object, base: str, members: list[Member], extra: str = "") -> None:
        self.lines += ["", "", f"class {name}({base}, kw_only=True{extra}):"]
        doc = docstring(known.doc.text if known.doc and not known.implicit else "", INDENT)
        fields = struct_fields(members, self.types)
        if doc and fields:
            doc.append("")
        self.lines += [*doc, *fields] or [f"{INDENT}pass"]

    def _union(self, known: Object) -> None:
        """A class per value of the tag. It extends the branch's type; the common members are repeated."""
        tag = known.discriminator
        assert tag is not None
        assert isinstance(tag.type, Enum)
        branches = {branch.name: branch for branch in known.branches}
        union = self.names.of(known)
        common = [member for member in known.all_members() if member is not tag]
        variants = []
        for value in tag.type.values:
            branch = branches.get(value.name)
            base = "Input" if known in self.inputs else "Output"
            if branch is not None:
                if not isinstance(branch.type, Object) or branch.type.discriminator is not None:
                    raise cannot_emit(f"union '{known.name}': branch '{value.name}' is a union itself")
                self._object(branch.type)
                base = self.names.of(branch.type)
            name = self.names.unique(camel(value.name) + union)
            if name[0].isdigit():
                name = f"V{name}"
            self._class(name, known, base, common, f', tag_field="{tag.name}", tag="{value.name}"')
            if self.lines[-1] == f"{INDENT}pass":
                self.lines.pop()
            enum_name = self.names.of(tag.type)
            field = f"{INDENT}{identifier(tag.name)}: ClassVar[{enum_name}] = {enum_name}.{constant(value.name)}"
            self.lines.append(field)
            variants.append(name)
        self.aliases.append((known, union, variants))

    def _alternate(self, known: Alternate) -> None:
        members = [self.types.for_decoding(member.type) for member in known.members]
        self.aliases.append((known, self.names.of(known), members))

    def _ordered_aliases(self) -> Iterator[str]:
        """An alias is evaluated where it stands, so what it refers to comes first."""
        waiting = list(self.aliases)
        if waiting:
            yield ""
        pending = {name for _, name, _ in waiting}
        while waiting:
            ready = [entry for entry in waiting if not _mentioned(entry[2], pending - {entry[1]})]
            if not ready:
                raise cannot_emit(f"alternate '{waiting[0][0].name}' contains itself")
            for known, name, members in ready:
                pending.discard(name)
                yield ""
                yield from _alias(name, members)
                if known.doc:
                    yield from docstring(known.doc.text, "")
            waiting = [entry for entry in waiting if entry not in ready]


def _alias(name: str, members: list[str]) -> list[str]:
    line = f"{name}: TypeAlias = {' | '.join(members)}"
    if len(line) <= WIDTH:
        return [line]
    return [f"{name}: TypeAlias = (", f"    {members[0]}", *(f"    | {member}" for member in members[1:]), ")"]


def _mentioned(members: list[str], names: set[str]) -> bool:
    return any(member.removeprefix("list[").rstrip("]") in names for member in members)


def _reachable(roots: Iterable[Type | None]) -> set[Type]:
    """All types that values of these can contain."""
    found: set[Type] = set()
    waiting: list[Type | None] = list(roots)
    while waiting:
        used = waiting.pop()
        if used is None or used in found:
            continue
        found.add(used)
        if isinstance(used, Array):
            waiting.append(used.element)
        elif isinstance(used, Object):
            waiting += [used.base, *(m.type for m in used.members), *(b.type for b in used.branches)]
        elif isinstance(used, Alternate):
            waiting += [member.type for member in used.members]
    return found


def _nested(schema: Schema) -> list[Object]:
    """The nameless objects inside others, which only the 2012 dialect has."""
    messages: list[Command | Event] = [*schema.commands.values(), *schema.events.values()]
    outside = {message.arguments for message in messages}
    roots: list[Type | None] = [*schema.types.values(), *outside]
    roots += [command.returns for command in schema.commands.values()]
    implicit = [used for used in _reachable(roots) if isinstance(used, Object) and used.implicit]
    return sorted((used for used in implicit if used not in outside), key=lambda used: used.name)

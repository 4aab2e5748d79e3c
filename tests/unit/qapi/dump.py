"""A schema's model as text, one line per fact, for comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from varan.qapi.doccomment import Doc
from varan.qapi.model import (
    Alternate,
    Array,
    Command,
    Condition,
    Definition,
    Enum,
    EnumValue,
    Event,
    Feature,
    Member,
    Object,
    Schema,
    Type,
)


def dump(schema: Schema) -> str:
    lines: list[str] = []
    for module in schema.modules:
        for item in module.contents:
            lines += _free_text(item) if isinstance(item, Doc) else _definition(item)
    return "".join(f"{line}\n" for line in lines)


def _free_text(doc: Doc) -> Iterator[str]:
    yield f"text {doc.text!r}"


def _definition(new: Definition) -> Iterator[str]:
    flags = [flag for flag in ("boxed", "coroutine", "allow_oob", "allow_preconfig") if getattr(new, flag, False)]
    flags += [f"not {flag}" for flag in ("generated", "success_response") if not getattr(new, flag, True)]
    yield " ".join([f"{type(new).__name__.lower()} {new.name}", *flags]) + _extras(new.condition, new.features)
    yield from _documentation(new)
    if isinstance(new, Enum):
        for value in new.values:
            yield f"    value {value.name}" + _about(value)
    elif isinstance(new, Object):
        yield from _object(new, "    ")
    elif isinstance(new, Alternate):
        yield from _members(new.members, "    ", "branch")
    elif isinstance(new, Command | Event):
        if new.arguments is not None:
            yield f"    takes {_type(new.arguments)}"
            if isinstance(new.arguments, Object) and new.arguments.implicit:
                yield from _object(new.arguments, "        ")
        if isinstance(new, Command) and new.returns is not None:
            yield f"    returns {_type(new.returns)}"


def _object(used: Object, indent: str) -> Iterator[str]:
    if used.base is not None:
        yield f"{indent}base {used.base.name}"
    yield from _members(used.members, indent, "member")
    if used.discriminator is not None:
        yield f"{indent}discriminator {used.discriminator.name}: {_type(used.discriminator.type)}"
        yield from _members(used.branches, indent, "branch")


def _members(members: Iterable[Member], indent: str, kind: str) -> Iterator[str]:
    for member in members:
        optional = "*" if member.optional else ""
        yield f"{indent}{kind} {optional}{member.name}: {_type(member.type)}" + _about(member)
        if isinstance(member.type, Object) and member.type.implicit:
            yield from _object(member.type, indent + "    ")


def _type(used: Type) -> str:
    return f"[{_type(used.element)}]" if isinstance(used, Array) else used.name


def _about(entry: Member | EnumValue) -> str:
    dates = f" since {entry.since}" if entry.since else ""
    dates += f" removed {entry.removed}" if entry.removed else ""
    text = f" -- {entry.doc.text!r}" if entry.doc else ""
    return _extras(entry.condition, entry.features) + dates + text


def _extras(condition: Condition | None, features: Iterable[Feature]) -> str:
    text = f" if {condition}" if condition else ""
    for feature in features:
        text += f" feature {feature.name}" + (f" (if {feature.condition})" if feature.condition else "")
    return text


def _documentation(new: Definition) -> Iterator[str]:
    if new.doc is None:
        return
    if new.doc.text:
        yield f"    text {new.doc.text!r}"
    for section in (*new.doc.features.values(), *new.doc.sections):
        yield f"    {section.name}: {section.text!r}"
    if new.since or new.removed:
        yield f"    from {new.since} to {new.removed}"

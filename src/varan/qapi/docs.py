"""A schema's documentation as Markdown: one section per file, one entry per definition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from varan.qapi.doccomment import Doc, Section
from varan.qapi.model import (
    Alternate,
    Array,
    Command,
    Definition,
    Enum,
    EnumValue,
    Event,
    Feature,
    Member,
    Module,
    Object,
    Schema,
    Type,
)

_REFERENCE = re.compile(r"(?<![\w`])@([A-Za-z_][\w.-]*\w)")
_EXAMPLE = re.compile(r"^(?:->|<-|\s*[{}\]])")
_TAGS_IN_ENTRY = ("Note", "Notes", "Example", "Examples")


def reference(schema: Schema, title: str = "Reference") -> str:
    """The whole document."""
    lines = [f"# {title}", ""]
    for module in schema.modules:
        if module.contents:
            lines += _module(module)
    return "\n".join(lines).rstrip("\n") + "\n"


def _module(module: Module) -> Iterator[str]:
    if not (isinstance(module.contents[0], Doc) and module.contents[0].text.startswith("= ")):
        yield from (f"## {PurePath(module.path).stem}", "")
    for item in module.contents:
        if isinstance(item, Doc):
            yield from _free_text(item.text)
        else:
            yield from _definition(item)


def _free_text(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        heading = re.match(r"(=+) (.*)", line)
        yield f"{'#' * (len(heading[1]) + 1)} {heading[2]}" if heading else _inline(line)
    yield ""


def _definition(new: Definition) -> Iterator[str]:
    kind = "union" if isinstance(new, Object) and new.discriminator else _KINDS[type(new)]
    yield from (f"### `{new.name}` ({kind})", "")
    doc = new.doc
    if doc is not None:
        yield from _text(doc.text)
    if isinstance(new, Enum):
        yield from _values(new.values)
    elif isinstance(new, Object):
        yield from _object(new)
    elif isinstance(new, Alternate):
        yield from (f"- {_type(member.type)}" for member in new.members)
        yield ""
    elif isinstance(new, Command | Event):
        yield from _message(new)
    yield from _sections(doc)
    yield from _features(new.features)
    facts = [f"since {new.since}"] if new.since else []
    facts += [f"removed in {new.removed}"] if new.removed else []
    facts += [f"if {new.condition}"] if new.condition else []
    if facts:
        sentence = ", ".join(facts)
        yield from (f"{sentence[0].upper()}{sentence[1:]}.", "")


_KINDS: dict[type, str] = {
    Enum: "enum",
    Object: "struct",
    Alternate: "alternate",
    Command: "command",
    Event: "event",
}


def _object(new: Object) -> Iterator[str]:
    if new.base is not None:
        yield from (f"The members of {_link(new.base.name)}, and:" if new.members else _all_of(new.base), "")
    yield from _members(new.members)
    if new.discriminator is not None:
        for branch in new.branches:
            inner = branch.type
            where = f"If `{new.discriminator.name}` is `{branch.name}`"
            if isinstance(inner, Object) and inner.implicit:
                yield f"- {where}: {', '.join(f'`{m.name}`: {_type(m.type)}' for m in inner.members)}"
            else:
                yield f"- {where}: the members of {_type(inner)}"
        yield ""


def _all_of(used: Object) -> str:
    return f"The members of {_link(used.name)}."


def _message(new: Command | Event) -> Iterator[str]:
    arguments = new.arguments
    if arguments is not None and arguments.implicit:
        yield from _members(arguments.members)
    elif arguments is not None:
        yield from (_all_of(arguments), "")
    if isinstance(new, Command):
        section = new.doc.tagged("Returns") if new.doc else None
        if new.returns is not None:
            text = f": {_joined(section)}" if section else ""
            yield from (f"Returns {_type(new.returns)}{text}", "")
        errors = new.doc.tagged("Errors") if new.doc else None
        if errors is not None:
            yield from ("Errors:", "")
            yield from _text(errors.text)


def _members(members: Iterable[Member], prefix: str = "") -> Iterator[str]:
    yield from _table(("Member", "Type", "Meaning"), _member_rows(members, prefix))


def _member_rows(members: Iterable[Member], prefix: str) -> Iterator[tuple[str, ...]]:
    for member in members:
        nested = member.type if isinstance(member.type, Object) and member.type.implicit else None
        kind = "object" if nested else _type(member.type)
        optional = ", optional" if member.optional else ""
        yield (f"`{prefix}{member.name}`", kind + optional, _remarks(member))
        if nested:
            yield from _member_rows(nested.members, f"{prefix}{member.name}.")


def _values(values: Iterable[EnumValue]) -> Iterator[str]:
    yield from _table(("Value", "Meaning"), ((f"`{value.name}`", _remarks(value)) for value in values))


def _remarks(entry: Member | EnumValue) -> str:
    parts = [_joined(entry.doc)] if entry.doc else []
    parts += [f"({feature.name})" for feature in entry.features]
    parts += [f"(if {entry.condition})"] if entry.condition else []
    return " ".join(part for part in parts if part)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    body = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    if body:
        yield from (f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *body, "")


def _sections(doc: Doc | None) -> Iterator[str]:
    for section in doc.sections if doc else ():
        if section.name in _TAGS_IN_ENTRY:
            yield from (f"{section.name}:", "")
            yield from _text(section.text)


def _features(features: Iterable[Feature]) -> Iterator[str]:
    for feature in features:
        text = f": {_joined(feature.doc)}" if feature.doc else ""
        yield from (f"Feature `{feature.name}`{text}", "")


def _text(text: str) -> Iterator[str]:
    """Paragraphs; what looks like an exchange of messages becomes a code block."""
    for paragraph in re.split(r"\n{2,}", text):
        if _EXAMPLE.match(paragraph):
            yield from ("```", *paragraph.split("\n"), "```", "")
        elif paragraph:
            yield from (*(_inline(line) for line in paragraph.split("\n")), "")


def _joined(section: Section | None) -> str:
    return _inline(" ".join(section.text.split())) if section else ""


def _inline(line: str) -> str:
    return _REFERENCE.sub(r"`\1`", line)


def _type(used: Type) -> str:
    if isinstance(used, Array):
        return f"list of {_type(used.element)}"
    if isinstance(used, Definition) and used.expression is not None and not getattr(used, "implicit", False):
        return _link(used.name)
    return used.name


def _link(name: str) -> str:
    return f"`{name}`"

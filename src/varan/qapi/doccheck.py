"""Whether the documentation speaks of what is defined, and of all of it.

What is an error today is a warning in the 2012 dialect, whose tools did not read documentation.
"""

from __future__ import annotations

from collections.abc import Iterator

from varan.qapi.definition import Pragma, RawDefinition
from varan.qapi.doccomment import Doc
from varan.qapi.errors import Problem
from varan.qapi.model import Alternate, Command, Definition, Enum, EnumValue, Event, Feature, Member, Object


def check_docs(
    new: Definition, raw: RawDefinition, pragma: Pragma, problems: list[Problem], warnings: list[Problem]
) -> None:
    """Append to `problems`, or to `warnings`, where documentation and definition disagree."""
    doc = raw.doc
    if doc is None:
        if pragma.doc_required and not raw.old:
            problems.append(raw.problem("documentation is missing (pragma doc-required)"))
        return
    severe = warnings if raw.old else problems
    for offset, message in _wrong(new, doc):
        severe.append(doc.source.problem(offset, message, raw.subject))
    if raw.name not in pragma.documentation_exceptions:
        missing = severe if pragma.doc_required else warnings
        for member in _own(new):
            if member.name not in doc.members and not _documented_inside(member, doc):
                missing.append(raw.problem(f"'{member.name}' is not documented", *member.where))


def _wrong(new: Definition, doc: Doc) -> Iterator[tuple[int, str]]:
    known = set(_names(_own(new)))
    for name, section in doc.members.items():
        if name not in known:
            yield section.offset, f"'{name}' is documented, but does not exist"
        elif not section.text:
            yield section.offset, f"'@{name}:' has no text"
    features = {feature.name for feature in _features(new)}
    for name, section in doc.features.items():
        if name not in features:
            yield section.offset, f"feature '{name}' is documented, but does not exist"
    for name in sorted(features - doc.features.keys()):
        yield doc.offset, f"feature '{name}' is not documented"
    for section in doc.sections:
        if section.name in ("Returns", "Errors") and not isinstance(new, Command):
            yield section.offset, f"'{section.name}:' is for commands"
        elif not section.text:
            yield section.offset, f"'{section.name}:' has no text"
        elif section.name in ("Since", "Removed") and doc.version_of(section) is None:
            yield section.offset, f"'{section.name}:' needs a version"


def _own(new: Definition) -> list[Member] | list[EnumValue]:
    """What the definition's own documentation is to describe: not what a named type brings in."""
    if isinstance(new, Enum):
        return new.values
    if isinstance(new, Alternate):
        return new.members
    if isinstance(new, Object):
        is_2012_union = new.discriminator is not None and not new.discriminator.where
        return new.branches if is_2012_union and new.base is None else new.members
    if isinstance(new, Command | Event) and isinstance(new.arguments, Object) and new.arguments.implicit:
        return new.arguments.members
    return []


def _names(members: list[Member] | list[EnumValue], prefix: str = "") -> Iterator[str]:
    """With those of nested objects, as "qemu.major"."""
    for member in members:
        yield prefix + member.name
        nested = _nested(member)
        if nested is not None:
            yield from _names(nested.members, f"{prefix}{member.name}.")


def _nested(member: Member | EnumValue) -> Object | None:
    used = member.type if isinstance(member, Member) else None
    return used if isinstance(used, Object) and used.implicit else None


def _documented_inside(member: Member | EnumValue, doc: Doc) -> bool:
    """A nested object counts as documented by its members."""
    return _nested(member) is not None and any(name.startswith(f"{member.name}.") for name in doc.members)


def _features(new: Definition) -> Iterator[Feature]:
    yield from new.features
    for member in _own(new):
        yield from member.features

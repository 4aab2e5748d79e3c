"""What changed between two schemas, as a client of the older one would feel it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from varan.qapi.model import Alternate, Array, Command, Enum, Event, Member, Object, Schema, Type

_T = TypeVar("_T")
_Inner = Callable[[str, _T, _T], Iterator["Change"]]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `sign` is "+" (came), "-" (went) or "~" (is another)."""

    sign: str
    what: str
    """"command 'stop'", "struct 'CpuInfo': member 'pc'"."""
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.sign} {self.what}{': ' if self.detail else ''}{self.detail}"


def diff(old: Schema, new: Schema) -> list[Change]:
    """Commands first, then events, then types; each in the order of the schemas."""
    return [
        *_compare("command", old.commands, new.commands, _commands),
        *_compare("event", old.events, new.events, _events),
        *_compare("type", _named(old), _named(new), _types),
    ]


def _named(schema: Schema) -> dict[str, Enum | Object | Alternate]:
    types = schema.types.items()
    return {name: used for name, used in types if isinstance(used, Enum | Object | Alternate) and used.expression}


def _compare(kind: str, old: Mapping[str, _T], new: Mapping[str, _T], inner: _Inner[_T] | None) -> Iterator[Change]:
    for name in old:
        if name not in new:
            yield Change("-", f"{kind} '{name}'")
    for name, entry in new.items():
        if name not in old:
            yield Change("+", f"{kind} '{name}'")
        elif inner is not None:
            yield from inner(f"{kind} '{name}'", old[name], entry)


def _commands(what: str, old: Command, new: Command) -> Iterator[Change]:
    yield from _arguments(what, old.arguments, new.arguments)
    before, after = _spelled(old.returns), _spelled(new.returns)
    if before != after:
        yield Change("~", what, f"returns {after}, not {before}")


def _events(what: str, old: Event, new: Event) -> Iterator[Change]:
    yield from _arguments(what, old.arguments, new.arguments)


def _arguments(what: str, old: Object | None, new: Object | None) -> Iterator[Change]:
    yield from _members(what, _all(old), _all(new))
    yield from _members(what, _branches(old), _branches(new), "branch")


def _types(what: str, old: Type, new: Type) -> Iterator[Change]:
    if type(old) is not type(new):
        yield Change("~", what, "is of another kind")
    elif isinstance(old, Enum) and isinstance(new, Enum):
        before = {value.name: value for value in old.values}
        after = {value.name: value for value in new.values}
        yield from _compare(f"{what}: value", before, after, None)
    elif isinstance(old, Object) and isinstance(new, Object):
        yield from _members(what, _all(old), _all(new))
        yield from _members(what, _by_name(old.branches), _by_name(new.branches), "branch")
    elif isinstance(old, Alternate) and isinstance(new, Alternate):
        yield from _members(what, _by_name(old.members), _by_name(new.members), "branch")


def _members(what: str, old: dict[str, Member], new: dict[str, Member], kind: str = "member") -> Iterator[Change]:
    yield from _compare(f"{what}: {kind}", old, new, _member)


def _member(what: str, old: Member, new: Member) -> Iterator[Change]:
    if _spelled(old.type) != _spelled(new.type):
        yield Change("~", what, f"is {_spelled(new.type)}, not {_spelled(old.type)}")
    if old.optional != new.optional:
        yield Change("~", what, "has become optional" if new.optional else "has become mandatory")


def _all(used: Object | None) -> dict[str, Member]:
    return _by_name(used.all_members()) if used else {}


def _branches(used: Object | None) -> dict[str, Member]:
    return _by_name(used.branches) if used else {}


def _by_name(members: Iterable[Member]) -> dict[str, Member]:
    return {member.name: member for member in members}


def _spelled(used: Type | None) -> str:
    if used is None:
        return "nothing"
    return f"[{_spelled(used.element)}]" if isinstance(used, Array) else used.name

"""What a schema means: whether its definitions, put together, make sense.

Every check here may look at the whole model. It reports all that it finds, one problem per definition at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from varan.qapi.build import Builder
from varan.qapi.definition import Pragma, RawDefinition
from varan.qapi.errors import Problem, QapiError
from varan.qapi.model import Alternate, Array, Builtin, Command, Definition, Enum, Event, Member, Object, Type
from varan.qapi.names import folded

_NUMBER_LIKE = re.compile(r"[-+0-9.]")


def check(builder: Builder, definitions: list[Definition], pragma: Pragma, problems: list[Problem]) -> None:
    """Append to `problems` whatever is wrong."""
    for new in definitions:
        raw = builder.raw[new]
        try:
            if isinstance(new, Enum):
                _check_enum(new, raw)
            elif isinstance(new, Object):
                _check_object(new, raw)
            elif isinstance(new, Alternate):
                _check_alternate(new, raw)
            elif isinstance(new, Command):
                _check_arguments(new.arguments, raw)
                _check_returns(new, raw, pragma)
            elif isinstance(new, Event):
                _check_arguments(new.arguments, raw)
        except QapiError as error:
            problems.extend(error.problems)
    _check_folding(builder, definitions, problems)
    if not problems:
        _check_finite(builder, definitions, problems)


def _check_enum(new: Enum, raw: RawDefinition) -> None:
    seen: dict[str, str] = {}
    for value in new.values:
        flat = folded(value.name).upper()
        if flat in seen:
            message = "occurs twice" if seen[flat] == value.name else f"clashes with '{seen[flat]}'"
            raise raw.error(f"value '{value.name}' {message}", *value.where)
        seen[flat] = value.name


def _check_distinct(members: Iterable[Member], seen: dict[str, tuple[str, str]], raw: RawDefinition) -> None:
    """`seen` maps folded names to (name, whose it is, if not ours), and gets those of `members`."""
    for member in members:
        flat = folded(member.name)
        if flat in seen:
            name, owner = seen[flat]
            if name == member.name:
                clash = f"occurs in {owner} too" if owner else "occurs twice"
            else:
                clash = f"clashes with '{name}'" + (f" in {owner}" if owner else "")
            raise raw.error(f"member '{member.name}' {clash}", *member.where)
        seen[flat] = (member.name, "")


def _check_object(new: Object, raw: RawDefinition) -> None:
    seen: dict[str, tuple[str, str]] = {}
    if new.base is not None:
        for member in new.base.all_members():
            seen[folded(member.name)] = (member.name, f"base '{new.base.name}'")
    _check_distinct(new.members, seen, raw)
    for member in new.members:
        _check_nested(member.type, raw)
    if new.discriminator is not None and "discriminator" in raw.expression.value:
        _check_discriminator(new, new.discriminator, raw)
        for branch in new.branches:
            _check_branch(new, branch, seen, raw)


def _check_nested(used: Type, raw: RawDefinition) -> None:
    """The anonymous objects of the 2012 dialect."""
    if isinstance(used, Object) and used.implicit:
        _check_distinct(used.members, {}, raw)
        for member in used.members:
            _check_nested(member.type, raw)


def _check_discriminator(new: Object, tag: Member, raw: RawDefinition) -> None:
    if not isinstance(tag.type, Enum):
        raise raw.error(f"discriminator '{tag.name}' is not of an enum type", "discriminator")
    if tag.optional:
        raise raw.error(f"discriminator '{tag.name}' is optional", "discriminator")
    if tag.condition is not None:
        raise raw.error(f"discriminator '{tag.name}' is conditional", "discriminator")
    values = {value.name for value in tag.type.values}
    for branch in new.branches:
        if branch.name not in values:
            raise raw.error(f"branch '{branch.name}' is no value of enum '{tag.type.name}'", *branch.where)


def _check_branch(new: Object, branch: Member, seen: dict[str, tuple[str, str]], raw: RawDefinition) -> None:
    used = branch.type
    if not isinstance(used, Object):
        raise raw.error(f"branch '{branch.name}' is of type '{used.name}', not of a struct", *branch.where)
    if new in _contained(used):
        raise raw.error(f"branch '{branch.name}' contains the union itself", *branch.where)
    for member in used.all_members():
        if folded(member.name) in seen:
            text = f"member '{member.name}' of branch '{branch.name}' clashes with a member of the base"
            raise raw.error(text, *branch.where)


def _contained(outer: Object) -> set[Object]:
    """The objects whose members are members of `outer`, in some branch."""
    found: set[Object] = set()
    waiting = [outer]
    while waiting:
        used = waiting.pop()
        if used in found:
            continue
        found.add(used)
        waiting += [branch.type for branch in used.branches if isinstance(branch.type, Object)]
        if used.base is not None:
            waiting.append(used.base)
    return found


def _check_alternate(new: Alternate, raw: RawDefinition) -> None:
    _check_distinct(new.members, {}, raw)
    taken: dict[str, str] = {}
    for member in new.members:
        kinds = list(_kinds(member.type))
        if not kinds:
            text = f"branch '{member.name}' cannot be of type '{member.type.name}': its JSON can be of several kinds"
            raise raw.error(text, *member.where)
        for kind in kinds:
            if kind in taken:
                text = f"branch '{member.name}' cannot be told from '{taken[kind]}' by its JSON"
                raise raw.error(text, *member.where)
        taken |= dict.fromkeys(kinds, member.name)


def _kinds(used: Type) -> Iterator[str]:
    """The kinds of JSON value that a type takes up. Text from a command line is a string whatever it stands for, so
    strings exclude what they could be mistaken for."""
    if isinstance(used, Array):
        yield "array"
    elif isinstance(used, Object):
        yield "object"
    elif isinstance(used, Enum):
        yield "string"
        if any(value.name in ("on", "off") for value in used.values):
            yield "boolean"
        if any(_NUMBER_LIKE.match(value.name) for value in used.values):
            yield "number"
    elif isinstance(used, Builtin) and used.json != "value":
        if used.json == "string":
            yield from ("string", "boolean", "number")
        else:
            yield "number" if used.json == "int" else used.json


def _check_arguments(arguments: Object | None, raw: RawDefinition) -> None:
    if arguments is not None and arguments.implicit:
        _check_distinct(arguments.members, {}, raw)
        for member in arguments.members:
            _check_nested(member.type, raw)


def _check_returns(new: Command, raw: RawDefinition, pragma: Pragma) -> None:
    returned = new.returns.element if isinstance(new.returns, Array) else new.returns
    if returned is None or isinstance(returned, Object) or raw.old:
        return
    if new.name not in pragma.command_returns_exceptions:
        text = f"'returns' cannot be '{returned.name}': replies are objects, so that they can be extended"
        raise raw.error(f"{text} (pragma command-returns-exceptions allows other)", "returns")


def _check_folding(builder: Builder, definitions: list[Definition], problems: list[Problem]) -> None:
    """Definitions whose names differ only in '-' and '_': a command may be there in a spelling that has gone."""
    seen: dict[str, str] = {}
    present = {folded(new.name) for new in definitions if new.removed is None}
    for new in definitions:
        if isinstance(new, Command) and new.removed is not None and folded(new.name) in present:
            new.respelled = True
            continue
        first = seen.setdefault(folded(new.name), new.name)
        if first != new.name:
            raw = builder.raw[new]
            problems.append(raw.problem(f"its name clashes with '{first}'", raw.key))


def _check_finite(builder: Builder, definitions: list[Definition], problems: list[Problem]) -> None:
    """An object that needs another of its own type could never be written down."""
    objects = [new for new in definitions if isinstance(new, Object | Alternate)]
    suspects = set(objects)
    while True:
        settled = {new for new in suspects if not _needs(new, suspects)}
        if not settled:
            break
        suspects -= settled
    endless = "a value of it would have to contain another, without end"
    problems.extend(builder.raw[new].problem(endless) for new in objects if new in suspects)


def _needs(new: Object | Alternate, suspects: set[Object | Alternate]) -> bool:
    """Whether every value of `new` contains a value of a suspect."""

    def is_suspect(used: Type) -> bool:
        if isinstance(used, Object) and used.implicit:
            return _needs(used, suspects)
        return isinstance(used, Object | Alternate) and used in suspects

    if isinstance(new, Alternate):
        return all(is_suspect(member.type) for member in new.members)
    if any(is_suspect(member.type) for member in new.all_members() if not member.optional):
        return True
    if new.discriminator is None or not isinstance(new.discriminator.type, Enum):
        return False
    if len(new.branches) < len(new.discriminator.type.values):
        return False
    return all(is_suspect(branch.type) for branch in new.branches)

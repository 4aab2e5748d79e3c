"""Well-formed definitions to the model: names become references, implied types become real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from varan.qapi.builtin import builtin_types
from varan.qapi.definition import RawDefinition
from varan.qapi.doccomment import Section
from varan.qapi.errors import Problem, QapiError
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
from varan.qapi.parser import Path

_D = TypeVar("_D", bound=Definition)

MAX_BASES = 32
"""One above the other; more would be no design but an attack."""

_CLASSES: dict[str, type[Definition]] = {
    "enum": Enum,
    "struct": Object,
    "union": Object,
    "alternate": Alternate,
    "command": Command,
    "event": Event,
}


def read_condition(value: Any) -> Condition | None:
    """A well-formed `if`."""
    if value is None:
        return None
    if isinstance(value, str):
        return Condition("symbol", value)
    [(kind, operands)] = value.items()
    if kind == "not":
        operands = [operands]
    read = tuple(operand for value in operands if (operand := read_condition(value)))
    return Condition(kind, operands=read)


class Builder:
    """Builds one schema. First `declare` every definition, then `fill` each."""

    def __init__(self) -> None:
        self.schema = Schema()
        self.schema.types.update(builtin_types())
        self.arrays: dict[Type, Array] = {}
        self.raw: dict[Definition, RawDefinition] = {}
        self._visitor = self.schema.types["any"]

    def declare(self, raw: RawDefinition) -> Definition:
        """Make the object that others can refer to. QapiError: the name is taken."""
        new = _CLASSES[raw.meta](raw.name, raw.expression, raw.doc)
        if isinstance(new, Command):
            known: dict[str, Any] = self.schema.commands
        elif isinstance(new, Event):
            known = self.schema.events
        else:
            known = self.schema.types
        if raw.name in known:
            raise raw.error(f"'{raw.name}' is already defined{_place(known[raw.name])}", raw.key)
        known[raw.name] = new
        self.raw[new] = raw
        return new

    def fill(self, new: Definition) -> None:
        """Give a declared definition its contents. QapiError: it refers to something that does not exist."""
        raw = self.raw[new]
        value = raw.expression.value
        new.condition = read_condition(value.get("if"))
        new.features = _features(value.get("features", ()), raw.doc.features if raw.doc else {})
        if isinstance(new, Enum):
            self._fill_enum(new, raw)
        elif isinstance(new, Object):
            self._fill_object(new, raw)
        elif isinstance(new, Alternate):
            new.members = self._members(raw, value["data"], ("data",))
        elif isinstance(new, Command):
            self._fill_command(new, raw)
        elif isinstance(new, Event):
            new.boxed = value.get("boxed", False)
            new.arguments = self._arguments(raw, new.boxed)

    def _fill_enum(self, new: Enum, raw: RawDefinition) -> None:
        docs = raw.doc.members if raw.doc else {}
        for index, value in enumerate(raw.expression.value["data"]):
            entry = {"name": value} if isinstance(value, str) else value
            name = entry["name"]
            features = _features(entry.get("features", ()), {})
            condition = read_condition(entry.get("if"))
            new.values.append(EnumValue(name, condition, features, docs.get(name), ("data", index)))

    def _fill_object(self, new: Object, raw: RawDefinition) -> None:
        value = raw.expression.value
        if raw.meta == "struct":
            new.members = self._members(raw, value["data"], ("data",))
        base = value.get("base")
        if isinstance(base, str):
            found = self._named(raw, base, ("base",))
            if not isinstance(found, Object) or self._is_union(found):
                raise raw.error(f"base '{base}' is not a struct", "base")
            new.base = found
        elif base is not None:
            new.members = self._members(raw, base, ("base",))
        if raw.meta == "union":
            if "discriminator" in value:
                new.branches = self._members(raw, value["data"], ("data",))
            else:
                self._fill_union_2012(new, raw)

    def connect(self, new: Object) -> None:
        """Find the discriminator of a union, once every base is filled. QapiError: it is not there."""
        raw = self.raw[new]
        name = raw.expression.value.get("discriminator")
        if name is None:
            return
        new.discriminator = next((member for member in new.all_members() if member.name == name), None)
        if new.discriminator is None:
            raise raw.error(f"discriminator '{name}' is not a member of the base", "discriminator")

    def check_base(self, new: Definition) -> None:
        """QapiError: a struct is its own base, by however many steps. Its bases can be walked after that."""
        if not isinstance(new, Object):
            return
        seen = {new}
        base = new.base
        while base is not None:
            if base in seen or len(seen) > MAX_BASES:
                new.base = None
                fault = "it is its own base" if base in seen else f"it has more than {MAX_BASES} bases"
                raise self.raw[new].error(fault, "base")
            seen.add(base)
            base = base.base

    def _is_union(self, found: Object) -> bool:
        return self.raw[found].meta == "union"

    def _fill_union_2012(self, new: Object, raw: RawDefinition) -> None:
        """On the wire: `type` names the branch, `data` holds its value."""
        branches = self._members(raw, raw.expression.value["data"], ("data",))
        kinds = Enum(f"{new.name}Kind", values=[EnumValue(branch.name) for branch in branches], implicit=True)
        self.schema.types.setdefault(kinds.name, kinds)
        new.discriminator = Member("type", kinds)
        new.members = [new.discriminator]
        for branch in branches:
            wrapped = [Member("data", branch.type, doc=branch.doc, where=branch.where)]
            branch.type = self._implicit(f"{new.name}.{branch.name}", raw, wrapped)
        new.branches = branches

    def _fill_command(self, new: Command, raw: RawDefinition) -> None:
        value = raw.expression.value
        new.boxed = value.get("boxed", False)
        new.generated = value.get("gen", True) not in (False, "no")
        new.success_response = value.get("success-response", True) not in (False, "no")
        new.coroutine = value.get("coroutine", False)
        new.allow_oob = value.get("allow-oob", False)
        new.allow_preconfig = value.get("allow-preconfig", False)
        new.arguments = self._arguments(raw, new.boxed)
        returns = value.get("returns")
        if returns is not None:
            new.returns = self._type(raw, returns, ("returns",))

    def _arguments(self, raw: RawDefinition, boxed: bool) -> Object | None:
        data = raw.expression.value.get("data")
        if data is None:
            return None
        if isinstance(data, dict):
            return self._implicit(f"{raw.name}.data", raw, self._members(raw, data, ("data",)))
        found = self._named(raw, data, ("data",))
        if isinstance(found, Object) and (boxed or not self._is_union(found)):
            return found
        if isinstance(found, Object):
            raise raw.error(f"data can be union '{data}' only with 'boxed': true", "data")
        raise raw.error(f"data cannot be '{data}': arguments form an object", "data")

    def _implicit(self, name: str, raw: RawDefinition, members: list[Member]) -> Object:
        new = Object(name, raw.expression, members=members, implicit=True)
        new.condition = read_condition(raw.expression.value.get("if"))
        self.raw[new] = raw
        return new

    def _members(self, raw: RawDefinition, data: dict[str, Any], path: Path, prefix: str = "") -> list[Member]:
        docs: dict[str, Section] = raw.doc.members if raw.doc else {}
        members = []
        for key, value in data.items():
            optional = key[0] == "*"
            name = key[1:] if optional else key
            where = (*path, key)
            member_doc = docs.get(prefix + name)
            if type(value) is not dict:
                new = Member(name, self._type(raw, value, where), optional, None, [], member_doc, where)
            elif raw.old:
                inner = self._members(raw, value, where, f"{prefix}{name}.")
                nested = self._implicit(f"{raw.name}.{prefix}{name}", raw, inner)
                new = Member(name, nested, optional, None, [], member_doc, where)
            else:
                resolved = self._type(raw, value["type"], where)
                condition = read_condition(value.get("if"))
                features = _features(value.get("features", ()), {})
                new = Member(name, resolved, optional, condition, features, member_doc, where)
            members.append(new)
        return members

    def _type(self, raw: RawDefinition, value: Any, path: Path) -> Type:
        if type(value) is str:
            return self.schema.types.get(value) or self._named(raw, value, path)
        if type(value) is dict:
            return self._implicit(f"{raw.name}.{path[-1]}", raw, self._members(raw, value, path))
        element = self._type(raw, value[0], path)
        array = self.arrays.get(element)
        if array is None:
            array = self.arrays[element] = Array(f"[{element.name}]", element)
        return array

    def _named(self, raw: RawDefinition, name: str, path: Path) -> Type:
        found = self.schema.types.get(name)
        if found is not None:
            return found
        if raw.old and name == "visitor":
            return self._visitor
        kind = "command" if name in self.schema.commands else "event" if name in self.schema.events else None
        what = f"'{name}' is a {kind}, not a type" if kind else f"there is no type '{name}'"
        raise raw.error(what, *path)


def _features(value: Any, docs: dict[str, Section]) -> list[Feature]:
    features = []
    for entry in value:
        name = entry if isinstance(entry, str) else entry["name"]
        condition = None if isinstance(entry, str) else read_condition(entry.get("if"))
        features.append(Feature(name, condition, docs.get(name)))
    return features


def _place(known: Any) -> str:
    expression = getattr(known, "expression", None)
    if expression is None:
        return " as a built-in type"
    line, _ = expression.source.position(expression.offset_of())
    return f" at {expression.source.path}:{line}"


def build(raw_definitions: list[RawDefinition], problems: list[Problem]) -> tuple[Builder, list[Definition]]:
    """Everything that could be built; what could not is appended to `problems`, and left out."""
    builder = Builder()
    declared: list[Definition] = []
    for raw in raw_definitions:
        try:
            declared.append(builder.declare(raw))
        except QapiError as error:
            problems.extend(error.problems)
    filled = _collect(builder.fill, declared, problems)
    filled = _collect(builder.check_base, filled, problems)
    unions = [new for new in filled if isinstance(new, Object) and builder.raw[new].meta == "union"]
    connected = set(_collect(builder.connect, unions, problems))
    return builder, [new for new in filled if new not in unions or new in connected]


def _collect(step: Callable[[_D], None], definitions: list[_D], problems: list[Problem]) -> list[_D]:
    """Those for which `step` went well."""
    done = []
    for new in definitions:
        try:
            step(new)
            done.append(new)
        except QapiError as error:
            problems.extend(error.problems)
    return done

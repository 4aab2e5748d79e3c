"""A schema as resolved objects: what the language means, and nothing of any language it is translated to.

Everything is plain slotted objects that refer to one another directly; names are the protocol's, unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from varan.qapi.doccomment import Doc, Section
from varan.qapi.errors import Problem
from varan.qapi.parser import Expression, Path


@dataclass(slots=True, frozen=True)
class Condition:
    """An `if`: a configuration symbol, or all, any or not of further conditions."""

    kind: str
    """"symbol", "all", "any" or "not"."""
    symbol: str = ""
    operands: tuple[Condition, ...] = ()

    def holds(self, defined: frozenset[str]) -> bool:
        """Whether it is true where exactly the symbols in `defined` are."""
        if self.kind == "symbol":
            return self.symbol in defined
        results = (operand.holds(defined) for operand in self.operands)
        if self.kind == "not":
            return not any(results)
        return all(results) if self.kind == "all" else any(results)

    def __str__(self) -> str:
        if self.kind == "symbol":
            return self.symbol
        if self.kind == "not":
            return f"not {self.operands[0]}"
        return "(" + f" {'and' if self.kind == 'all' else 'or'} ".join(map(str, self.operands)) + ")"


@dataclass(slots=True, eq=False)
class Feature:
    name: str
    condition: Condition | None = None
    doc: Section | None = None


@dataclass(slots=True, eq=False)
class Builtin:
    name: str
    json: str
    """string, int, number, boolean, null, or value (anything)."""
    minimum: int | None = None
    maximum: int | None = None


@dataclass(slots=True, eq=False)
class Array:
    name: str
    element: Type


@dataclass(slots=True, eq=False)
class Member:
    """A member of an object, an alternative of an alternate, or a branch of a union."""

    name: str
    type: Type
    optional: bool = False
    condition: Condition | None = None
    features: list[Feature] = field(default_factory=list)
    doc: Section | None = None
    where: Path = ()
    """In the expression of the definition that it is written in."""

    @property
    def since(self) -> str | None:
        return self.doc.since if self.doc else None

    @property
    def removed(self) -> str | None:
        return self.doc.removed if self.doc else None


@dataclass(slots=True, eq=False)
class EnumValue:
    name: str
    condition: Condition | None = None
    features: list[Feature] = field(default_factory=list)
    doc: Section | None = None
    where: Path = ()

    @property
    def since(self) -> str | None:
        return self.doc.since if self.doc else None

    @property
    def removed(self) -> str | None:
        return self.doc.removed if self.doc else None


@dataclass(slots=True, eq=False)
class Definition:
    """What all that a schema defines has in common. `expression` is None for what the language implies."""

    name: str
    expression: Expression | None = None
    doc: Doc | None = None
    condition: Condition | None = None
    features: list[Feature] = field(default_factory=list)

    @property
    def since(self) -> str | None:
        return self.doc.since if self.doc else None

    @property
    def removed(self) -> str | None:
        """The first protocol version without it."""
        return self.doc.removed if self.doc else None

    @property
    def deprecated(self) -> bool:
        return any(feature.name == "deprecated" for feature in self.features)


@dataclass(slots=True, eq=False)
class Enum(Definition):
    values: list[EnumValue] = field(default_factory=list)
    implicit: bool = False
    """Implied by a 2012 union."""


@dataclass(slots=True, eq=False)
class Object(Definition):
    """A struct, a union (if it has a discriminator), or the nameless object of a definition's `data` or `base`."""

    base: Object | None = None
    members: list[Member] = field(default_factory=list)
    """Its own, without those of `base`."""
    discriminator: Member | None = None
    branches: list[Member] = field(default_factory=list)
    """By value of the discriminator; a value without a branch adds no members."""
    implicit: bool = False
    """It has no name in the schema; `name` tells where it belongs."""

    def all_members(self) -> Iterator[Member]:
        """Those of the bases first. The members that only some branches have are not among them."""
        lineage = [self]
        while (base := lineage[-1].base) is not None:
            lineage.append(base)
        for ancestor in reversed(lineage):
            yield from ancestor.members


@dataclass(slots=True, eq=False)
class Alternate(Definition):
    members: list[Member] = field(default_factory=list)
    """One per kind of JSON value; the names are not on the wire."""


Type: TypeAlias = Builtin | Array | Enum | Object | Alternate
"""What a value can be. Types are the same only if they are the same object."""


@dataclass(slots=True, eq=False)
class Command(Definition):
    arguments: Object | None = None
    returns: Type | None = None
    boxed: bool = False
    generated: bool = True
    """False (`gen`): takes members that the schema does not list."""
    success_response: bool = True
    coroutine: bool = False
    allow_oob: bool = False
    allow_preconfig: bool = False
    respelled: bool = False
    """It has gone, and another command has its name with '-' for '_' or the reverse."""

    @property
    def own_name(self) -> str:
        """A name that no other command has, however names are changed for languages that know no '-'."""
        return f"{self.name}-former" if self.respelled else self.name


@dataclass(slots=True, eq=False)
class Event(Definition):
    arguments: Object | None = None
    boxed: bool = False


@dataclass(slots=True)
class Module:
    """One file of a schema."""

    path: str
    contents: list[Definition | Doc] = field(default_factory=list)
    """Definitions and free text, in the order of the file."""


@dataclass(slots=True)
class Schema:
    """A whole schema; every dict is in the order of the source."""

    modules: list[Module] = field(default_factory=list)
    types: dict[str, Type] = field(default_factory=dict)
    """By name, built-in and implied ones included; arrays are not here."""
    commands: dict[str, Command] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)

    def definitions(self) -> Iterator[Definition]:
        """Everything that is written in the schema."""
        for module in self.modules:
            for item in module.contents:
                if isinstance(item, Definition):
                    yield item

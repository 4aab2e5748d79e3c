"""Expressions told apart: which of them define something, which include files or set pragmas."""

from __future__ import annotations

from dataclasses import dataclass, field

from varan.qapi.doccomment import Doc
from varan.qapi.errors import Problem, QapiError
from varan.qapi.parser import Expression, Path
from varan.qapi.source import Dialect

META_TYPES = ("enum", "struct", "union", "alternate", "command", "event")


@dataclass(slots=True)
class Pragma:
    """What a schema asks of its own compiler. It holds for the whole schema."""

    doc_required: bool = False
    command_name_exceptions: set[str] = field(default_factory=set)
    """Commands that may have underscores."""
    command_returns_exceptions: set[str] = field(default_factory=set)
    """Commands that may return something other than objects."""
    documentation_exceptions: set[str] = field(default_factory=set)
    """Definitions with members that need no documentation."""
    member_name_exceptions: set[str] = field(default_factory=set)
    """Types whose members may have upper case and underscores."""


@dataclass(slots=True)
class RawDefinition:
    """A definition before its types are resolved."""

    meta: str
    """Of META_TYPES; a 2012 `type` is a struct."""
    name: str
    expression: Expression
    doc: Doc | None

    @property
    def old(self) -> bool:
        return self.expression.source.dialect is Dialect.Y2012

    @property
    def key(self) -> str:
        """The keyword as written."""
        return "type" if self.meta == "struct" and "struct" not in self.expression.value else self.meta

    @property
    def subject(self) -> str:
        return f"{self.key} '{self.name}'"

    def problem(self, message: str, *path: str | int) -> Problem:
        where: Path = path
        return self.expression.source.problem(self.expression.offset_of(where), message, self.subject)

    def error(self, message: str, *path: str | int) -> QapiError:
        return QapiError(self.problem(message, *path))

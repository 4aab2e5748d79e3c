"""What can be wrong with a schema, and where: the only exception that leaves this package."""

from __future__ import annotations

from dataclasses import dataclass

from varan.errors import VaranError


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint: a place in a file, the definition it is about, and what to mend."""

    path: str
    line: int
    """From 1."""
    column: int
    """From 1."""
    message: str
    subject: str | None = None
    """The definition the place is in, as "command 'memsave'"."""
    included_from: tuple[tuple[str, int], ...] = ()
    """(path, line) of each include directive on the way here, the nearest first."""

    def __str__(self) -> str:
        chain = "".join(f"In file included from {path}:{line}:\n" for path, line in self.included_from)
        subject = f"In {self.subject}: " if self.subject else ""
        return f"{chain}{self.path}:{self.line}:{self.column}: {subject}{self.message}"


class QapiError(VaranError):
    """A schema cannot be used. `problems` has at least one entry, in the order of the source."""

    def __init__(self, problems: list[Problem] | Problem) -> None:
        self.problems = [problems] if isinstance(problems, Problem) else problems
        super().__init__("\n".join(str(problem) for problem in self.problems))

"""What a session shows of the protocol, by version: which commands there are, and how errors look.

The schema is the union of what the protocol has had. `LATEST`, which a session gets unless told otherwise, keeps all of
it and renders errors as today. A profile of an older version hides what came later and what was gone by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from varan.api.commands import CommandInfo
from varan.errors import QmpError
from varan.qmp.refusals import rich_class

_RICH_UNTIL = (1, 2)
_OOB_SINCE = (2, 12)


@dataclass(frozen=True, slots=True)
class Profile:
    """A version of the protocol; None is the union of all, with today's errors."""

    version: tuple[int, ...] | None = None

    @classmethod
    def named(cls, name: str) -> Profile:
        """The profile of a version such as "1.1" or "7.0"; "latest" is the union. Raises ValueError."""
        return cls(None if name == "latest" else _parse(name))

    @property
    def rich_errors(self) -> bool:
        """Whether errors have a class of their own and data."""
        return self.version is not None and self.version < _RICH_UNTIL

    @property
    def oob(self) -> bool:
        """Whether out-of-band execution is offered."""
        return self.version is None or self.version >= _OOB_SINCE

    def has(self, command: CommandInfo) -> bool:
        """Whether the version has the command."""
        if self.version is None:
            return True
        if command.since is not None and _parse(command.since) > self.version:
            return False
        return command.removed is None or self.version < _parse(command.removed)

    def render(self, error: QmpError) -> dict[str, Any]:
        """The value of "error" in a reply."""
        if not self.rich_errors:
            return {"class": error.lasting_class, "desc": str(error)}
        kind = rich_class(error)
        desc = str(error) if kind is type(error) else kind.template.format(**error.data, message=error)
        name = error.class_name if kind is type(error) else kind.__name__
        return {"class": name, "desc": desc, "data": error.data}


LATEST = Profile()


def _parse(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))

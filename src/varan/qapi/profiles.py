"""Which of the interface a protocol version had: everything says `Since`, and where it went, `Removed`.

This works on the model's definitions and members as well as on the generated tables (`varan.api.commands.COMMANDS`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar


class Dated(Protocol):
    """Anything with the versions between which it exists."""

    @property
    def since(self) -> str | None: ...

    @property
    def removed(self) -> str | None: ...


_T = TypeVar("_T", bound=Dated)


def version_key(version: str) -> tuple[int, ...]:
    """Versions as what compares: "1.10" is above "1.9", "0.14.0" is "0.14". ValueError: it is no version."""
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def exists_in(entry: Dated, version: str | None) -> bool:
    """Whether protocol `version` has it. Without `since` it has always been there; None is the newest version."""
    if version is None:
        return entry.removed is None
    key = version_key(version)
    if entry.since is not None and version_key(entry.since) > key:
        return False
    return entry.removed is None or version_key(entry.removed) > key


def select(entries: Mapping[str, _T], version: str | None) -> dict[str, _T]:
    """Those that protocol `version` has, in the same order."""
    return {name: entry for name, entry in entries.items() if exists_in(entry, version)}


def versions(entries: Iterable[Dated]) -> list[str]:
    """Every version in which something came or went, oldest first."""
    found = {version for entry in entries for version in (entry.since, entry.removed) if version is not None}
    return sorted(found, key=version_key)

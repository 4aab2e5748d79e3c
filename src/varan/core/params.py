"""A host end's options, as the command line spells them, taken apart one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import ClassVar

from varan.errors import VaranError

_SWITCH = {"on": True, "yes": True, "true": True, "off": False, "no": False, "false": False}
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE = re.compile(r"(\d{1,12})([bkmg]?)", re.ASCII | re.IGNORECASE)


class Params:
    """Options of one host end. Each `take` removes what it returns; `finish` refuses what nobody took.

    All raise `error_type`, naming the host end and the option. A key that was given several times has its last value,
    and `take_all` gives them all.
    """

    noun: ClassVar[str]
    """What kind of host end it is, in messages."""
    error_type: ClassVar[type[VaranError]]
    documentation: ClassVar[str]

    def __init__(self, id: str, options: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
        self.id = id
        self._left: dict[str, list[str]] = {}
        for key, value in options.items() if isinstance(options, Mapping) else options:
            self._left.setdefault(key, []).append(value)

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def error(self, problem: str) -> VaranError:
        """The error that says `problem` about this host end."""
        return self.error_type(f"{self.noun} '{self.id}': {problem}")

    def take(self, key: str) -> str | None:
        """The text of `key`, None when it was not given."""
        values = self._left.pop(key, None)
        return None if values is None else values[-1]

    def take_all(self, key: str) -> list[str]:
        """Every text of `key`, in order."""
        return self._left.pop(key, [])

    def take_path(self, key: str) -> str | None:
        """A file name, None when it was not given."""
        path = self.take(key)
        if path is not None and (not path or "\0" in path):
            raise self.error(f"option '{key}' expects a file name, not {path!r}")
        return path

    def take_required_path(self, key: str) -> str:
        """A file name that must be there."""
        path = self.take_path(key)
        if path is None:
            raise self.error(f"option '{key}' is missing; give {key}=FILE")
        return path

    def take_bool(self, key: str) -> bool | None:
        """A switch, None when it was not given."""
        text = self.take(key)
        if text is None:
            return None
        if text not in _SWITCH:
            raise self.error(f"option '{key}' expects on or off, not '{text}'")
        return _SWITCH[text]

    def take_int(self, key: str, lowest: int, highest: int) -> int | None:
        """A decimal number from `lowest` to `highest`, None when it was not given."""
        text = self.take(key)
        if text is None:
            return None
        value = int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else -1
        if not lowest <= value <= highest:
            raise self.error(f"option '{key}' expects a number from {lowest} to {highest}, not '{text}'")
        return value

    def take_size(self, key: str) -> int | None:
        """A number of bytes such as 4096 or 64K, None when it was not given."""
        text = self.take(key)
        if text is None:
            return None
        match = _SIZE.fullmatch(text)
        if match is None:
            raise self.error(f"option '{key}' expects a size such as 4096 or 64K, not '{text}'")
        return int(match[1]) * _UNITS[match[2].lower()]

    def refuse(self, key: str, why: str) -> None:
        """Complain, saying `why`, when `key` was given."""
        if key in self._left:
            raise self.error(f"option '{key}' {why}")

    def finish(self) -> None:
        """Complain about the first option that nobody took."""
        for key in self._left:
            raise self.error(f"there is no option '{key}' for this kind; see {self.documentation}")

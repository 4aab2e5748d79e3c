"""Commands as people type them: `memsave val=0 size=4096 filename=x`, `set a.b=1`, `set list=[1,2]`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import msgspec

from varan.errors import VaranError


class WordsError(VaranError):
    """Words that make no command."""


def parse_line(line: str) -> tuple[str, dict[str, Any]] | None:
    """Command and arguments of a line, quoted as in a shell; None for an empty one. Raises WordsError."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise WordsError(f"{error}".lower()) from error
    return (words[0], parse_arguments(words[1:])) if words else None


def parse_arguments(words: Sequence[str]) -> dict[str, Any]:
    """The arguments that `key=value` words make. Raises WordsError.

    A value is JSON where it can be read as that, a string otherwise (`x='"1"'` is the string 1). Dots in a key make
    nested objects.
    """
    arguments: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not all(parts := key.split(".")):
            raise WordsError(f"'{word}': an argument is key=value")
        _put(arguments, parts, _value(text), word)
    return arguments


def _put(arguments: dict[str, Any], parts: Sequence[str], value: Any, word: str) -> None:
    target = arguments
    for part in parts[:-1]:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise WordsError(f"'{word}': '{part}' has a value already that is no object")
    if parts[-1] in target:
        raise WordsError(f"'{word}': '{parts[-1]}' has a value already")
    target[parts[-1]] = value


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return text

"""The `a=b,c.d=e` grammar of option arguments.

An argument is a list of items separated by commas. An item is `key=value`; a comma inside a value is written twice.
The first item may leave out `key=` where the option has an implied first key. An item without `=` is a switch:
`server` stands for `server=on` and `nowait` for `wait=off`. A key given twice has its last value.
Keys are made of letters, digits, `-`, `_` and dots between parts.
"""

from __future__ import annotations

import re

from varan.core.sizes import parse_size
from varan.errors import VaranError
from varan.light import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*")
_HEX = re.compile(r"0x[0-9a-f]+", re.IGNORECASE)
_NUMBER = re.compile(r"\d+", re.ASCII)
_TRUE = frozenset({"on", "yes", "true", "y"})
_FALSE = frozenset({"off", "no", "false", "n"})
_NUMBER_LENGTH = 40
"""No sensible number needs more characters."""


class KeyvalError(VaranError):
    """A bad option argument: what is wrong, in which text, and at which column (1 is the first character)."""

    def __init__(self, problem: str, text: str, column: int) -> None:
        super().__init__(f"{problem} (column {column})" if column > 1 else problem)
        self.problem = problem
        self.text = text
        self.column = column

    @property
    def illustration(self) -> str:
        """Three lines: the text, a caret under the column, the problem."""
        return f"{self.text}\n{' ' * (self.column - 1)}^\n{self.problem}"


@record(frozen=True, slots=True)
class Pair:
    """One item: key, value with its escapes undone, and the column the value (of a switch: the item) starts at."""

    key: str
    value: str
    column: int = 1


def parse(text: str, implied: str | None = None) -> list[Pair]:
    """The items of `text` in order. Raises KeyvalError.

    `implied` is the key of a first item that has none.
    """
    pairs: list[Pair] = []
    start = 0
    while start < len(text):
        end = _item_end(text, start)
        pairs.append(_parse_item(text, start, end, implied if start == 0 else None))
        start = end + 1
    return pairs


def format_pairs(pairs: Iterable[Pair | tuple[str, str]]) -> str:
    """The text that parses to `pairs`."""
    items = [(pair.key, pair.value) if isinstance(pair, Pair) else pair for pair in pairs]
    return ",".join(f"{key}={escape(value)}" for key, value in items)


def escape(value: str) -> str:
    """`value` as it stands inside an argument."""
    return value.replace(",", ",,")


def _item_end(text: str, start: int) -> int:
    """Index of the comma that ends the item, or of the end of the text."""
    at = start
    while (at := text.find(",", at)) >= 0:
        if not text.startswith(",,", at):
            return at
        at += 2
    return len(text)


def _parse_item(text: str, start: int, end: int, implied: str | None) -> Pair:
    item = text[start:end]
    name, equals, value = item.partition("=")
    if equals and "," not in name:
        _check_key(name, text, start)
        return Pair(name, value.replace(",,", ","), start + len(name) + 2)
    if implied is not None:
        return Pair(implied, item.replace(",,", ","), start + 1)
    _check_key(item, text, start)
    if item.startswith("no") and len(item) > 2 and _KEY.fullmatch(item[2:]):
        return Pair(item[2:], "off", start + 1)
    return Pair(item, "on", start + 1)


def _check_key(name: str, text: str, start: int) -> None:
    if not name:
        raise KeyvalError("a parameter name is missing", text, start + 1)
    if not _KEY.fullmatch(name):
        raise KeyvalError(f"'{name}' is not a parameter name", text, start + 1)


class Arguments:
    """The parsed argument of one option, to be taken apart key by key.

    Each `take` removes what it returns; `finish` complains about what nobody took. All raise KeyvalError.
    """

    def __init__(self, text: str, implied: str | None = None) -> None:
        self.text = text
        self._pairs: dict[str, Pair] = {}
        for pair in parse(text, implied):
            self._pairs.pop(pair.key, None)
            self._pairs[pair.key] = pair

    def __contains__(self, key: str) -> bool:
        return key in self._pairs

    def take(self, key: str) -> str | None:
        """The value of `key`, None when it was not given."""
        pair = self._pairs.pop(key, None)
        return None if pair is None else pair.value

    def take_required(self, key: str) -> str:
        """The value of `key`, which must be there and not be empty."""
        value = self.take(key)
        if not value:
            raise KeyvalError(f"parameter '{key}' is missing", self.text, 1)
        return value

    def take_bool(self, key: str) -> bool | None:
        """The value of a switch: on or off (also yes, no, true, false)."""
        pair = self._pairs.pop(key, None)
        if pair is None:
            return None
        if pair.value in _TRUE:
            return True
        if pair.value in _FALSE:
            return False
        raise self._unfit(pair, "'on' or 'off'")

    def take_number(self, key: str) -> int | None:
        """A whole number, not negative, decimal or 0x-hexadecimal."""
        pair = self._pairs.pop(key, None)
        if pair is None:
            return None
        if len(pair.value) < _NUMBER_LENGTH and _HEX.fullmatch(pair.value):
            return int(pair.value, 16)
        if len(pair.value) < _NUMBER_LENGTH and _NUMBER.fullmatch(pair.value):
            return int(pair.value)
        raise self._unfit(pair, "a number")

    def take_size(self, key: str, unit: int = 1) -> int | None:
        """A number of bytes; see `varan.core.sizes`."""
        pair = self._pairs.pop(key, None)
        if pair is None:
            return None
        size = parse_size(pair.value, unit)
        if size is None:
            raise self._unfit(pair, "a size such as 256M or 1.5G, below 2^64")
        return size

    def take_choice(self, key: str, choices: Sequence[str]) -> str | None:
        """One of `choices`."""
        pair = self._pairs.pop(key, None)
        if pair is None or pair.value in choices:
            return None if pair is None else pair.value
        raise self._unfit(pair, f"one of {', '.join(choices)}")

    def rest(self) -> dict[str, str]:
        """Everything not taken yet, in order, taken now."""
        values = {pair.key: pair.value for pair in self._pairs.values()}
        self._pairs.clear()
        return values

    def refuse(self, key: str, why: str) -> None:
        """Complain, saying `why`, when `key` was given."""
        if (pair := self._pairs.get(key)) is not None:
            raise KeyvalError(f"'{key}' {why}", self.text, pair.column)

    def finish(self) -> None:
        """Complain about the first item that nobody took."""
        for pair in self._pairs.values():
            raise KeyvalError(f"invalid parameter '{pair.key}'", self.text, self._key_column(pair))

    def _key_column(self, pair: Pair) -> int:
        key_start = pair.column - 2 - len(pair.key)
        return key_start + 1 if self.text.startswith(f"{pair.key}=", max(key_start, 0)) else pair.column

    def _unfit(self, pair: Pair, expected: str) -> KeyvalError:
        return KeyvalError(f"parameter '{pair.key}' expects {expected}, not '{pair.value}'", self.text, pair.column)

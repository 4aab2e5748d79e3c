"""Integer expressions of the human monitor, as C has them: registers, + - * / % & | ^ ~, parentheses.

Values are 64-bit two's complement numbers: every operation wraps, division truncates towards zero. Precedence is C's:
`* / %` before `+ -` before `&` before `^` before `|`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from varan.commands.hmp.errors import HmpError

Registers = Callable[[str], int]
"""Register name without the dollar sign -> value. Raises HmpError for an unknown one."""
Evaluate = Callable[[Registers], int]

MAX_DEPTH = 64
"""Parentheses and unary operators that may enclose one another."""

_TOKEN = re.compile(
    r"[ \t]*(?:(?P<number>0[xX][0-9a-fA-F]+|[0-9]+)|\$(?P<register>[A-Za-z_][A-Za-z0-9_]*)"
    r"|'(?P<character>\\.|[^'\\])'|(?P<operator>[-+*/%&|^~()]))",
    re.ASCII,
)
_WORD = re.compile(r"[0-9A-Za-z_$]", re.ASCII)
_PRECEDENCE = {"|": 1, "^": 2, "&": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 5}
_ESCAPES = {"n": 10, "r": 13, "t": 9, "0": 0}


class Expression:
    """A parsed expression. `registers` are the names it mentions: with none, `evaluate` needs no CPU."""

    __slots__ = ("_evaluate", "registers")

    def __init__(self, evaluate: Evaluate, registers: frozenset[str]) -> None:
        self._evaluate = evaluate
        self.registers = registers

    def evaluate(self, registers: Registers) -> int:
        """Its value, from -2^63 to 2^63 - 1. Raises HmpError for an unknown register or a division by zero."""
        return wrap(self._evaluate(registers))


def wrap(value: int) -> int:
    """`value` as 64 bits, the highest one the sign."""
    return ((value + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


def parse(text: str, position: int = 0, *, more: bool = False) -> tuple[Expression, int]:
    """The longest expression at `position`, and where it ends. Raises HmpError when none begins there.

    With `more` something else follows the expression: an operator then ends it that stands like the sign or path of
    the next word, with a blank before and none behind (`16 /tmp/file`).
    """
    parser = _Parser(text, position, more)
    evaluate = parser.binary(1, 0)
    return Expression(evaluate, frozenset(parser.registers)), parser.position


class _Parser:
    def __init__(self, text: str, position: int, more: bool) -> None:
        self._text = text
        self._more = more
        self.position = position
        self.registers: set[str] = set()

    def _peek(self) -> re.Match[str] | None:
        return _TOKEN.match(self._text, self.position)

    def binary(self, lowest: int, depth: int) -> Evaluate:
        left = self._unary(depth)
        for symbol, precedence in self._operators(lowest):
            left = _operation(symbol, left, self.binary(precedence + 1, depth))
        return left

    def _operators(self, lowest: int) -> Iterator[tuple[str, int]]:
        """The binary operators that follow and bind at least as strongly as `lowest`, taken one by one."""
        while (token := self._peek()) is not None:
            symbol = token["operator"]
            precedence = _PRECEDENCE.get(symbol, 0)
            if precedence < lowest or (self._more and self._begins_word(token)):
                return
            self.position = token.end()
            yield symbol, precedence

    def _begins_word(self, operator: re.Match[str]) -> bool:
        behind = self._text[operator.end() : operator.end() + 1]
        return operator[0][0] in " \t" and behind not in ("", " ", "\t")

    def _unary(self, depth: int) -> Evaluate:
        if depth > MAX_DEPTH:
            raise HmpError("expression is nested too deeply")
        token = self._peek()
        if token is None:
            raise HmpError(_nothing_at(self._text, self.position))
        symbol = token["operator"]
        if symbol is None:
            self.position = token.end()
            return self._leaf(token)
        if symbol not in "+-~(":
            raise HmpError(_nothing_at(self._text, self.position))
        self.position = token.end()
        if symbol == "(":
            inner = self.binary(1, depth + 1)
            closing = self._peek()
            if closing is None or closing["operator"] != ")":
                raise HmpError("')' expected" + _at(self._text, self.position))
            self.position = closing.end()
            return inner
        operand = self._unary(depth + 1)
        if symbol == "-":
            return lambda registers: wrap(-operand(registers))
        if symbol == "~":
            return lambda registers: ~operand(registers)
        return operand

    def _leaf(self, token: re.Match[str]) -> Evaluate:
        if token["register"] is not None:
            name = token["register"]
            self.registers.add(name)
            return lambda registers: wrap(registers(name))
        value = self._character(token) if token["character"] is not None else self._number(token)
        return lambda registers: value

    def _number(self, token: re.Match[str]) -> int:
        digits = token["number"]
        end = token.end()
        if end < len(self._text) and _WORD.match(self._text[end]):
            raise HmpError(f"invalid number '{self._text[token.start('number') :].split()[0][:40]}'")
        octal = len(digits) > 1 and digits[0] == "0" and digits[1] not in "xX"
        try:
            value = int(digits, 8 if octal else 0)
        except ValueError:
            raise HmpError(f"invalid number '{digits[:40]}'") from None
        if value >= 1 << 64:
            raise HmpError(f"number too large: {digits[:40]}")
        return wrap(value)

    def _character(self, token: re.Match[str]) -> int:
        text = token["character"]
        if text[0] == "\\":
            return _ESCAPES.get(text[1], ord(text[1]))
        return ord(text)


def _operation(symbol: str, left: Evaluate, right: Evaluate) -> Evaluate:
    operation = _OPERATIONS[symbol]
    return lambda registers: wrap(operation(left(registers), right(registers)))


def _divide(left: int, right: int) -> int:
    if right == 0:
        raise HmpError("division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "%": lambda left, right: left - right * _divide(left, right),
    "&": lambda left, right: left & right,
    "|": lambda left, right: left | right,
    "^": lambda left, right: left ^ right,
}


def _nothing_at(text: str, position: int) -> str:
    return "number, register or '(' expected" + _at(text, position)


def _at(text: str, position: int) -> str:
    rest = text[position:].strip()
    return f" at '{rest[:40]}'" if rest else " at the end of the line"

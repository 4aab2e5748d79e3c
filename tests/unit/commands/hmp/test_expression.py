from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.expression import MAX_DEPTH, parse, wrap

REGISTERS = {"rip": 0x1000, "rsp": 0xFFFF888000000010, "eax": 7}


def read(name: str) -> int:
    try:
        return REGISTERS[name]
    except KeyError:
        raise HmpError(f"unknown register '${name}'") from None


def value(text: str) -> int:
    expression, end = parse(text)
    assert end == len(text), f"left over: {text[end:]!r}"
    return expression.evaluate(read)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("42", 42),
        ("0x2A", 42),
        ("010", 8),
        ("'a'", 97),
        (r"'\n'", 10),
        ("-1", -1),
        ("~0", -1),
        ("- - 3", 3),
        ("+5", 5),
        ("1+2*3", 7),
        ("(1 + 2) * 3", 9),
        ("10-3-2", 5),
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("7 % -2", 1),
        ("1 | 6 & 3", 3),
        ("5 ^ 1 | 8", 12),
        ("1 + 2 & 2", 2),
        ("$rip + 4", 0x1004),
        ("$rip+$eax", 0x1007),
        ("$rsp & 0xfff", 0x10),
        ("0xffffffffffffffff", -1),
        ("0x7fffffffffffffff + 1", -(1 << 63)),
    ],
)
def test_value(text: str, expected: int) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at the end of the line"),
        ("1 +", "at the end of the line"),
        ("(1", "'\\)' expected at the end"),
        ("(1 2)", "'\\)' expected at '2\\)'"),
        ("*3", "at '\\*3'"),
        ("$nosuch", "unknown register '\\$nosuch'"),
        ("1/0", "division by zero"),
        ("1%(2-2)", "division by zero"),
        ("0x", "invalid number '0x'"),
        ("12monkeys", "invalid number '12monkeys'"),
        ("09", "invalid number '09'"),
        ("0x1ffffffffffffffff", "number too large"),
        ("(" * (MAX_DEPTH + 2) + "1", "nested too deeply"),
        ("-" * (MAX_DEPTH + 2) + "1", "nested too deeply"),
    ],
)
def test_error_says_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(HmpError, match=words):
        value(text)


def test_parsing_stops_where_the_expression_ends() -> None:
    expression, end = parse("1+2 16 file", 0)
    assert (expression.evaluate(read), end) == (3, 3)


def test_registers_are_known_before_evaluation() -> None:
    assert parse("$rip + ($eax * 2)")[0].registers == {"rip", "eax"}


trees = st.recursive(
    st.integers(min_value=0, max_value=(1 << 64) - 1).map(lambda number: (hex(number), wrap(number))),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from("-~"), inner).map(
            lambda pair: (f"{pair[0]}({pair[1][0]})", wrap(-pair[1][1] if pair[0] == "-" else ~pair[1][1]))
        ),
        st.tuples(inner, st.sampled_from("+-*&|^"), inner).map(
            lambda parts: (f"({parts[0][0]}) {parts[1]} ({parts[2][0]})", combine(parts[0][1], parts[1], parts[2][1]))
        ),
    ),
    max_leaves=12,
)


def combine(left: int, operator: str, right: int) -> int:
    results = {
        "+": left + right,
        "-": left - right,
        "*": left * right,
        "&": left & right,
        "|": left | right,
        "^": left ^ right,
    }
    return wrap(results[operator])


@given(trees)
def test_value_agrees_with_64_bit_arithmetic(tree: tuple[str, int]) -> None:
    assert value(tree[0]) == tree[1]


@given(st.lists(st.integers(0, 99), min_size=2, max_size=8), st.data())
def test_precedence_agrees_with_the_host_language(numbers: list[int], data: st.DataObject) -> None:
    operators = [data.draw(st.sampled_from("+-*&|^")) for _ in numbers[1:]]
    text = str(numbers[0]) + "".join(f" {o} {n}" for o, n in zip(operators, numbers[1:], strict=True))
    assert value(text) == wrap(eval(text))


@given(st.text(alphabet="0123456789abcxf$rip()+-*/%&|^~' \\\"é", max_size=60))
def test_any_text_gives_a_value_or_an_error(text: str) -> None:
    try:
        expression, end = parse(text)
        result = expression.evaluate(read)
    except HmpError:
        return
    assert 0 < end <= len(text)
    assert -(1 << 63) <= result < 1 << 63

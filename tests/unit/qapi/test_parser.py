from __future__ import annotations

import pytest

from varan.qapi.parser import Expression, parse
from varan.qapi.source import Source

_TEXT = """\
# about
{ 'command': 'go',
  'data': { 'a': 'x', # comment
            'b': [ 'y', { 'c': [ true, 'z' ] } ] },
  'empty': {} }
"""


def _expression() -> tuple[Source, Expression]:
    source = Source("x.json", _TEXT)
    [_, expression] = parse(source).items
    assert isinstance(expression, Expression)
    return source, expression


def test_value_is_plain_data() -> None:
    _, expression = _expression()
    assert expression.value == {
        "command": "go",
        "data": {"a": "x", "b": ["y", {"c": [True, "z"]}]},
        "empty": {},
    }


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ((), (2, 1)),
        (("command",), (2, 3)),
        (("data",), (3, 3)),
        (("data", "a"), (3, 13)),
        (("data", "b"), (4, 13)),
        (("data", "b", 0), (4, 20)),
        (("data", "b", 1), (4, 25)),
        (("data", "b", 1, "c"), (4, 27)),
        (("data", "b", 1, "c", 1), (4, 40)),
        (("empty",), (5, 3)),
    ],
)
def test_offset_of_finds_each_value(path: tuple[str | int, ...], position: tuple[int, int]) -> None:
    source, expression = _expression()
    assert source.position(expression.offset_of(path)) == position


@pytest.mark.parametrize("path", [("data", "zz"), ("data", "zz", 3), ("data", 0)])
def test_offset_of_what_is_not_there_is_that_of_the_nearest_around_it(path: tuple[str | int, ...]) -> None:
    source, expression = _expression()
    assert source.position(expression.offset_of(path)) == (3, 3)


def test_offset_after_a_forgotten_comma_is_found() -> None:
    source = Source("x.json", "{ 'enum': 'Color' 'data': [ 'a' 'b' ] }")
    [expression] = parse(source, lenient=True).items
    assert isinstance(expression, Expression)
    assert source.position(expression.offset_of(("data", 1))) == (1, 33)

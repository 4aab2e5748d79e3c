"""The `a=b,c.d=e` grammar of option arguments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varan.core.keyval import Arguments, KeyvalError, Pair, format_pairs, parse

KEYS = st.from_regex(r"[a-z0-9_][a-z0-9_-]{0,6}(\.[a-z0-9_]{1,4}){0,2}", fullmatch=True)
PAIRS = st.lists(st.tuples(KEYS, st.text(max_size=12)), max_size=6)


def items(text: str, implied: str | None = None) -> list[tuple[str, str]]:
    return [(pair.key, pair.value) for pair in parse(text, implied)]


@given(PAIRS)
def test_what_was_formatted_parses_to_the_same_pairs(pairs: list[tuple[str, str]]) -> None:
    assert items(format_pairs(pairs)) == pairs


@given(st.text(alphabet="ab,=.-n o1é", max_size=24), st.sampled_from([None, "first"]))
def test_any_text_parses_or_is_refused_and_formats_back(text: str, implied: str | None) -> None:
    try:
        pairs = parse(text, implied)
    except KeyvalError as error:
        assert 1 <= error.column <= len(text) + 1
        assert "\n" not in str(error)
    else:
        assert items(format_pairs(pairs)) == [(pair.key, pair.value) for pair in pairs]


@pytest.mark.parametrize(
    ("text", "implied", "expected"),
    [
        ("", None, []),
        ("a=b,c.d=e", None, [("a", "b"), ("c.d", "e")]),
        ("path=/tmp/a,,b,id=x", None, [("path", "/tmp/a,b"), ("id", "x")]),
        ("a=,,,b=1", None, [("a", ","), ("b", "1")]),
        ("a=b=c", None, [("a", "b=c")]),
        ("a=", None, [("a", "")]),
        ("a=b,", None, [("a", "b")]),
        (
            "socket,id=c0,server,nowait",
            "backend",
            [("backend", "socket"), ("id", "c0"), ("server", "on"), ("wait", "off")],
        ),
        ("a,,b=c", "backend", [("backend", "a,b=c")]),
        ("backend=file,path=x", "backend", [("backend", "file"), ("path", "x")]),
        ("no", None, [("no", "on")]),
        ("256M", "size", [("size", "256M")]),
    ],
)
def test_parse_gives_pairs(text: str, implied: str | None, expected: list[tuple[str, str]]) -> None:
    assert items(text, implied) == expected


def test_columns_point_at_values() -> None:
    assert parse("first,id=abc,server", "kind") == [
        Pair("kind", "first", 1),
        Pair("id", "abc", 10),
        Pair("server", "on", 14),
    ]


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("=b", 1, "a parameter name is missing"),
        ("a=b,=c", 5, "a parameter name is missing"),
        ("a=b,,c,,=d,", None, ""),
        ("a=b,x y=c", 5, "'x y' is not a parameter name"),
        ("a=b,.c=d", 5, "'.c' is not a parameter name"),
        ("unix:a=b", 1, "'unix:a' is not a parameter name"),
        ("a=1,,b", None, ""),
        ("a=1,b!", 5, "'b!' is not a parameter name"),
    ],
)
def test_bad_text_names_problem_and_column(text: str, column: int | None, problem: str) -> None:
    if column is None:
        assert len(parse(text)) == 1
        return
    with pytest.raises(KeyvalError) as caught:
        parse(text)
    assert (caught.value.problem, caught.value.column) == (problem, column)


def test_illustration_shows_text_and_caret() -> None:
    with pytest.raises(KeyvalError) as caught:
        parse("a=b,x y=c")
    assert caught.value.illustration == "a=b,x y=c\n    ^\n'x y' is not a parameter name"
    assert str(caught.value) == "'x y' is not a parameter name (column 5)"


def test_arguments_are_taken_by_type() -> None:
    arguments = Arguments("pc,wait=off,server,cpus=4,base=0x10,mem=1M,mode=b,left=over,cpus=5", "type")
    assert arguments.take("type") == "pc"
    assert arguments.take_bool("wait") is False
    assert arguments.take_bool("server") is True
    assert arguments.take_bool("absent") is None
    assert arguments.take_number("cpus") == 5
    assert arguments.take_number("base") == 16
    assert arguments.take_size("mem") == 1 << 20
    assert arguments.take_choice("mode", ("a", "b")) == "b"
    assert arguments.rest() == {"left": "over"}
    arguments.finish()


@pytest.mark.parametrize(
    ("text", "method", "message"),
    [
        ("x=maybe", "take_bool", "parameter 'x' expects 'on' or 'off', not 'maybe' (column 3)"),
        ("x=four", "take_number", "parameter 'x' expects a number, not 'four' (column 3)"),
        ("x=-1", "take_number", "parameter 'x' expects a number, not '-1' (column 3)"),
        ("a=b,x=1Q", "take_size", "parameter 'x' expects a size such as 256M or 1.5G, below 2^64, not '1Q' (column 7)"),
        ("x=", "take_required", "parameter 'x' is missing"),
        ("y=1", "take_required", "parameter 'x' is missing"),
    ],
)
def test_ill_typed_value_is_named(text: str, method: str, message: str) -> None:
    with pytest.raises(KeyvalError) as caught:
        getattr(Arguments(text), method)("x")
    assert str(caught.value) == message


def test_finish_names_first_unknown_key_and_its_column() -> None:
    arguments = Arguments("good=1,bad=2")
    arguments.take("good")
    with pytest.raises(KeyvalError) as caught:
        arguments.finish()
    assert str(caught.value) == "invalid parameter 'bad' (column 8)"

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.expression import Expression
from varan.commands.hmp.format import Format
from varan.commands.hmp.line import declare, parse_arguments, split_name, take_word


def parsed(declaration: str, line: str) -> dict[str, object]:
    values = parse_arguments(declare(declaration), line, 0)
    return {
        name: value.evaluate(lambda register: 0) if isinstance(value, Expression) else value
        for name, value in values.items()
    }


@pytest.mark.parametrize(
    ("line", "name", "end"),
    [("info status", "info", 4), ("  x/4x 0", "x", 3), ("", "", 0), ("   ", "", 3), ("?", "?", 1), ("/4", "", 0)],
)
def test_name_ends_at_a_blank_or_slash(line: str, name: str, end: int) -> None:
    assert split_name(line) == (name, end)


def test_arguments_in_order() -> None:
    assert parsed("val:integer size:integer filename:string", " 0x10 2*8 /tmp/file ") == {
        "val": 16,
        "size": 16,
        "filename": "/tmp/file",
    }


def test_an_expression_may_hold_blanks() -> None:
    assert parsed("address:integer file:string", "1 + 2 name") == {"address": 3, "file": "name"}


def test_the_last_expression_may_be_written_in_any_way() -> None:
    assert parsed("address:integer", "16 -4") == {"address": 12}


def test_a_sign_begins_the_next_argument() -> None:
    assert parsed("val:integer size:integer", "16 -4") == {"val": 16, "size": -4}


def test_quotes_keep_blanks_and_escapes() -> None:
    assert parsed("file:string", r'"a \"b\" c\n\\d"') == {"file": 'a "b" c\n\\d'}


def test_optional_arguments_may_be_left_out() -> None:
    assert parsed("index:integer?", "  ") == {}


def test_flag_is_taken_only_as_a_word() -> None:
    assert parsed("-a:all", "-a") == {"all": True}
    with pytest.raises(HmpError, match="extraneous"):
        parsed("-a:all", "-abc")


def test_rest_takes_the_line_as_it_stands() -> None:
    assert parsed("device:string data:rest", 'ring say "hello"  there ') == {
        "device": "ring",
        "data": 'say "hello"  there',
    }


def test_format_sticks_to_the_name() -> None:
    assert parsed("/format address:integer", "/4xg 0x1000") == {"format": Format(4, "x", 8), "address": 0x1000}


@pytest.mark.parametrize(
    ("declaration", "line", "words"),
    [
        ("val:integer size:integer", "1", "missing argument: size"),
        ("val:integer", "1 2", "extraneous characters at the end of line: '2'"),
        ("", "x", "extraneous"),
        ("file:string", '"abc', "unterminated string"),
        ("val:integer", "abc", "expected at 'abc'"),
        ("/format address:integer", "/4z 0", "invalid character in format: 'z'"),
        ("/format address:integer", "/xx 0", "invalid character in format: 'x'"),
        ("/format address:integer", "/99999999x 0", "invalid count"),
        ("/format address:integer", "/4i 0", "disassembly is not built in"),
    ],
)
def test_error_says_what_is_wrong(declaration: str, line: str, words: str) -> None:
    with pytest.raises(HmpError, match=words):
        parsed(declaration, line)


@given(st.text(alphabet=st.characters(exclude_characters='"\\\n\r\t', exclude_categories=["Cs"])))
def test_quoting_keeps_any_text(text: str) -> None:
    quoted = f'"{text}"'
    assert take_word(quoted, 0) == (text, len(quoted))


DECLARATIONS = ["s:string r:rest?", "i:integer s:string", "/format a:integer", "-a:all f:string?"]


@given(st.text(alphabet="ab 01/\\\"'$-+xn\té", max_size=40), st.sampled_from(DECLARATIONS))
def test_any_line_gives_arguments_or_an_error(line: str, declaration: str) -> None:
    try:
        parsed(declaration, line)
    except HmpError as error:
        assert str(error)

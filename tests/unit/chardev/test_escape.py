from hypothesis import given
from hypothesis import strategies as st

from varan.chardev.escape import EscapeParser, Key, LineStamper, help_text


def feed(*pieces: bytes) -> list[bytes | Key]:
    parser = EscapeParser()
    return [item for piece in pieces for item in parser.feed(piece)]


def test_keys_are_told_from_input():
    assert feed(b"ls\x01cinfo\x01x") == [b"ls", Key.NEXT, b"info", Key.EXIT]


def test_escape_may_be_split_from_its_key():
    assert feed(b"a\x01", b"b") == [b"a", Key.BREAK]


def test_escape_twice_is_the_escape_itself():
    assert feed(b"\x01\x01c") == [b"\x01", b"c"]


def test_question_mark_is_help_too():
    assert feed(b"\x01?\x01h") == [Key.HELP, Key.HELP]


def test_an_unknown_key_is_swallowed():
    assert feed(b"a\x01zb") == [b"a", b"b"]


@given(st.binary())
def test_doubling_the_escape_sends_any_bytes(data):
    items = feed(data.replace(b"\x01", b"\x01\x01"))
    assert b"".join(item for item in items if isinstance(item, bytes)) == data


def test_help_lists_only_the_keys_that_do_something():
    text = help_text(frozenset({Key.HELP, Key.NEXT})).decode()
    assert "Ctrl-A c" in text
    assert "Ctrl-A x" not in text


def test_each_line_is_stamped_once():
    stamper = LineStamper()
    assert stamper.stamp(b"one\ntw", 5) == b"[00:00:00.005] one\n[00:00:00.005] tw"
    assert stamper.stamp(b"o\n", 9) == b"o\n"
    assert stamper.stamp(b"three", 3_723_004) == b"[01:02:03.004] three"

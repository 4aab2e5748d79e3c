from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varan.commands.hmp.lineedit import MAX_HISTORY, MAX_LINE, LineEditor

PROMPT = "> "
COMMANDS = ["cont", "cpu", "info", "stop", "system_reset"]
UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
HOME, END, DELETE = "\x1b[H", "\x1b[F", "\x1b[3~"


class Terminal:
    """As much of a VT100 as the editor relies on, on a line of any width."""

    def __init__(self) -> None:
        self.lines = [""]
        self.column = 0

    def show(self, output: bytes) -> None:
        for token in re.findall(r"\x1b\[K|.", output.decode(), re.DOTALL):
            self._token(token)

    def _token(self, token: str) -> None:
        line = self.lines[-1]
        if token == "\r":
            self.column = 0
        elif token == "\n":
            self.lines.append("")
        elif token == "\b":
            assert self.column > 0, "the cursor left the line"
            self.column -= 1
        elif token == "\x1b[K":
            self.lines[-1] = line[: self.column]
        else:
            self.lines[-1] = line[: self.column].ljust(self.column) + token + line[self.column + 1 :]
            self.column += 1


class User:
    """Types at an editor and watches the terminal."""

    def __init__(self) -> None:
        self.editor = LineEditor(PROMPT, lambda text: COMMANDS if " " not in text else [])
        self.terminal = Terminal()
        self.entered: list[str] = []
        self.terminal.show(self.editor.prompt())

    def type(self, text: str) -> None:
        rest = self.editor.decode(text.encode())
        while rest:
            output, line, rest = self.editor.feed(rest)
            self.terminal.show(output)
            if line is not None:
                self.entered.append(line)
                self.terminal.show(self.editor.prompt())

    def check(self) -> None:
        assert self.terminal.lines[-1].rstrip() == (PROMPT + self.editor.line).rstrip()
        assert self.terminal.column == len(PROMPT) + self.editor.cursor


@pytest.fixture
def user() -> User:
    return User()


@pytest.mark.parametrize(
    ("keys", "line", "cursor"),
    [
        ("stop", "stop", 4),
        ("stopp\x7f", "stop", 4),
        ("stopp\x08", "stop", 4),
        ("\x7f", "", 0),
        ("sop" + LEFT * 2 + "t", "stop", 2),
        ("top" + HOME + "s", "stop", 1),
        ("top\x01s\x05!", "stop!", 5),
        ("xstop\x1bOH\x1b[3~", "stop", 0),
        ("xstop\x1b[1~\x04", "stop", 0),
        ("stop" + LEFT * 9 + RIGHT, "stop", 1),
        ("stop" + RIGHT * 9, "stop", 4),
        ("one two\x17", "one ", 4),
        ("one two  \x17", "one ", 4),
        ("one two\x15", "", 0),
        ("one two" + LEFT * 3 + "\x15", "two", 0),
        ("one two" + LEFT * 4 + "\x0b", "one", 3),
        ("äöü\x7f", "äö", 2),
        ("a\x00\x03b", "ab", 2),
        ("a\x1b[99xb\x1bzc", "abc", 3),
    ],
)
def test_keys_edit_the_line(user: User, keys: str, line: str, cursor: int) -> None:
    user.type(keys)
    assert (user.editor.line, user.editor.cursor) == (line, cursor)
    user.check()


@pytest.mark.parametrize("enter", ["\r", "\n", "\r\n"])
def test_every_kind_of_enter_ends_one_line(user: User, enter: str) -> None:
    user.type(f"stop{enter}cont{enter}{enter}x")
    assert user.entered == ["stop", "cont", ""]
    assert user.editor.line == "x"
    user.check()


def test_input_after_enter_is_left_for_later(user: User) -> None:
    fed = user.editor.feed("stop\rcont\r")
    assert (fed.line, fed.rest) == ("stop", "cont\r")


def test_history_goes_back_and_forth_and_keeps_what_was_typed(user: User) -> None:
    user.type("first\rsecond\rthi")
    seen = []
    for key in (UP, UP, UP, DOWN, DOWN, DOWN):
        user.type(key)
        seen.append(user.editor.line)
        user.check()
    assert seen == ["second", "first", "first", "second", "thi", "thi"]


def test_history_leaves_out_blank_and_repeated_lines_and_is_bounded(user: User) -> None:
    user.type("a\r\r  \ra\rb\r")
    assert user.editor.history == ("a", "b")
    user.type("".join(f"{number}\r" for number in range(2 * MAX_HISTORY)))
    assert len(user.editor.history) == MAX_HISTORY


def test_tab_completes_what_is_certain(user: User) -> None:
    user.type("sy\t")
    assert user.editor.line == "system_reset "
    user.check()


def test_tab_shows_the_choices(user: User) -> None:
    user.type("c\t")
    assert user.editor.line == "c"
    assert user.terminal.lines[-2] == "cont  cpu"
    user.check()


def test_tab_without_a_choice_does_nothing(user: User) -> None:
    user.type("zz\t")
    assert user.editor.line == "zz"
    user.check()


def test_a_line_is_bounded(user: User) -> None:
    user.type("x" * (MAX_LINE + 100))
    assert len(user.editor.line) == MAX_LINE


def test_a_character_cut_in_two_arrives_whole(user: User) -> None:
    data = "ä".encode()
    assert user.editor.decode(data[:1]) + user.editor.decode(data[1:]) == "ä"


CONTROLS = "\x01\x02\x04\x05\x06\x08\t\x0b\x0c\x0e\x10\x15\x17\x7f\r\n"

keys = st.one_of(
    st.sampled_from([UP, DOWN, LEFT, RIGHT, HOME, END, DELETE, *CONTROLS]),
    st.text(alphabet="ab c_sy", max_size=4),
    st.text(alphabet="\x1b[O;13~Aé\x00\x07", max_size=4),
)


@given(st.lists(keys, max_size=60))
def test_the_screen_always_shows_the_line_and_cursor(typed: list[str]) -> None:
    user = User()
    for key in typed:
        user.type(key)
        user.check()


@given(st.binary(max_size=200), st.integers(1, 7))
def test_chunking_makes_no_difference(data: bytes, size: int) -> None:
    def lines(pieces: list[bytes]) -> tuple[list[str], str]:
        editor = LineEditor(PROMPT, lambda text: COMMANDS)
        entered = []
        for piece in pieces:
            rest = editor.decode(piece)
            while rest:
                _, line, rest = editor.feed(rest)
                if line is not None:
                    entered.append(line)
        return entered, editor.line

    assert lines([data]) == lines([data[at : at + size] for at in range(0, len(data), size)])

"""Text to tokens, by one regular expression: a schema has few kinds of token and no context.

Comments between definitions matter (they may be documentation), so they are tokens; comments inside a definition
are dropped here.
"""

from __future__ import annotations

import re

from varan.qapi.source import Source

STRING = "'"
COMMENT = "#"
WORD = "w"
END = ""

_TOKEN = re.compile(
    r"""[ \t\n]*+(?:
        ([{}\[\]:,])                              # 1: punctuation
      | '([ !-&(-\[\]-~]*)'                       # 2: a string of printable ASCII without escapes
      | (\#[^\n]*(?:\n[ \t]*\#[^\n]*)*)           # 3: adjoining comment lines
      | '((?:[ !-&(-\[\]-~]|\\\\)*)'              # 4: a string with the one escape the language has
      | ([A-Za-z0-9_.+-]+)                        # 5: true, false, or a mistake
      | (\Z)                                      # 6
      | (.)                                       # 7: nothing that is known
    )""",
    re.VERBOSE,
)
_PUNCTUATION, _PLAIN, _COMMENT, _ESCAPED, _WORD, _END, _STRAY = range(1, 8)
_QUOTED = (_PLAIN, _ESCAPED)
_STRING_PREFIX = re.compile(r"'(?:[ !-&(-\[\]-~]|\\\\)*")


class Tokens:
    """Parallel lists, one entry per token; the last token is END. Indexing lists beats objects by far here."""

    __slots__ = ("ends", "kinds", "starts", "values")

    def __init__(self) -> None:
        self.kinds: list[str] = []
        """The punctuation character itself, or STRING, COMMENT, WORD, END."""
        self.values: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []


def tokenize(source: Source) -> Tokens:
    """All tokens of a file. QapiError at the first thing that is none."""
    tokens = Tokens()
    kinds, values, starts, ends = tokens.kinds, tokens.values, tokens.starts, tokens.ends
    depth = begin = 0
    for found in _TOKEN.finditer(source.text):
        group = found.lastindex or 0
        begin = found.start(group) - (group in _QUOTED)
        value = found[group]
        if group == _PUNCTUATION:
            kinds.append(value)
            if value in "{[":
                depth += 1
            elif value in "}]" and depth:
                depth -= 1
        elif group == _PLAIN:
            kinds.append(STRING)
        elif group == _COMMENT:
            if depth:
                continue
            kinds.append(COMMENT)
        elif group == _ESCAPED:
            kinds.append(STRING)
            value = value.replace("\\\\", "\\")
        elif group == _STRAY:
            break
        else:
            kinds.append(WORD if group == _WORD else END)
        values.append(value)
        starts.append(begin)
        ends.append(found.end())
        if group == _END:
            return tokens
    raise source.error(*_explain(source, begin))


def _explain(source: Source, offset: int) -> tuple[int, str]:
    """Where and why no token begins at `offset`."""
    text = source.text
    if text[offset] != "'":
        return offset, f"stray {text[offset]!r}"
    stopped = _STRING_PREFIX.match(text, offset)
    assert stopped is not None
    at = stopped.end()
    if at == len(text) or text[at] == "\n":
        return offset, "the string has no closing quote"
    if text[at] == "\\":
        return at, f"unknown escape '{text[at : at + 2].strip()}': only '\\\\' is known"
    return at, f"{text[at]!r} cannot be in a string: only printable ASCII can"

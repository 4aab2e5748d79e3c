"""Comments to documentation: the symbol, its members' texts, and the tagged sections.

A documentation comment today stands between two lines `##`. In 2012 either of those could be missing; what made it
documentation was that it began with `@symbol`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from varan.qapi.source import Dialect, Source

_SYMBOL = re.compile(r"@([\w.*-]+):$")
_SYMBOL_2012 = re.compile(r"@([\w.*-]+):?$")
_ENTRY = re.compile(
    r"@(?P<name>[\w.*-]+):(?:\s+|$)"
    r"|(?P<tag>Returns|Errors|Since|Removed|Notes?|Examples?|TODO|Features):(?:\s+|$)"
    r"|(?P<since>Since)\s+(?=\d)"
)
_LONG_SECTIONS = ("", "Returns", "Errors", "Note", "Notes", "Example", "Examples", "TODO")
"""Those (the definition's own text is one) whose paragraphs need not be indented."""
_SINCE = re.compile(r"\bsince:?\s+v?(\d+(?:\.\d+)*)", re.IGNORECASE)
_REMOVED = re.compile(r"\bremoved(?::|\s+in|\s+since)?\s+v?(\d+(?:\.\d+)*)", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n{3,}")
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")


@dataclass(slots=True)
class Section:
    """A tagged section, or one member's or feature's text."""

    name: str
    offset: int
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Without common indentation and surrounding blank lines; `#optional` of the 2012 dialect is gone."""
        return _clean(self.lines)

    @property
    def since(self) -> str | None:
        """The version in "(since 4.0)"."""
        found = _SINCE.search(" ".join(self.lines))
        return found[1] if found else None

    @property
    def removed(self) -> str | None:
        """The first version without it, from "(removed 6.0)" or "Removed: 6.0"."""
        found = _REMOVED.search(" ".join(self.lines))
        return found[1] if found else None


@dataclass(slots=True)
class Doc:
    """One documentation comment."""

    source: Source
    offset: int
    symbol: str | None = None
    """What it documents; None for free text."""
    body: Section = field(default_factory=lambda: Section("", 0))
    members: dict[str, Section] = field(default_factory=dict)
    features: dict[str, Section] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    complaints: list[tuple[int, str]] = field(default_factory=list)
    """(offset, message): errors today, warnings in the 2012 dialect."""

    @property
    def text(self) -> str:
        return self.body.text

    def tagged(self, tag: str) -> Section | None:
        return next((section for section in self.sections if section.name == tag), None)

    @property
    def since(self) -> str | None:
        return self._version("Since")

    @property
    def removed(self) -> str | None:
        return self._version("Removed")

    def _version(self, tag: str) -> str | None:
        section = self.tagged(tag)
        return self.version_of(section) if section else None

    @staticmethod
    def version_of(section: Section) -> str | None:
        """The version that a `Since:` or `Removed:` section begins with."""
        found = _VERSION.match(section.text)
        return found[1] if found else None


def read_comment(source: Source, offset: int, text: str) -> list[Doc]:
    """The documentation in adjoining comment lines; ordinary comments give none."""
    blocks = _blocks_2012(text) if source.dialect is Dialect.Y2012 else _blocks(text)
    docs = []
    for block in blocks:
        doc = _Reader(source, offset + block.start).read(text[block.start : block.end])
        if block.complaint:
            doc.complaints.append((offset + block.opening, block.complaint))
        docs.append(doc)
    return docs


class _Block(NamedTuple):
    """Where documentation is in a comment, and what is wrong with its frame."""

    opening: int
    start: int
    end: int
    complaint: str | None = None


def _blocks(text: str) -> list[_Block]:
    """What stands between pairs of `##` lines."""
    blocks: list[_Block] = []
    opening = start = -1
    complaint = None
    at = 0
    for line in text.split("\n"):
        after = at + len(line) + 1
        marker = line.strip()
        if marker == "##" and start >= 0:
            blocks.append(_Block(opening, start, at, complaint))
            start = -1
        elif marker.startswith("##") and start < 0:
            opening, start = at, min(after, len(text))
            complaint = None if marker == "##" else "documentation begins with a line that is only '##'"
        at = after
    if start >= 0:
        complaint = complaint or "the documentation is not closed by a line '##'"
        blocks.append(_Block(opening, start, len(text), complaint))
    return blocks


def _blocks_2012(text: str) -> list[_Block]:
    """The whole comment, if its first words are `@symbol`."""
    start = 0
    for line in text.split("\n"):
        words = line.strip(" \t#")
        if _SYMBOL_2012.match(words):
            return [_Block(start, start, len(text))]
        if words:
            break
        start += len(line) + 1
    return []


class _Reader:
    """Puts the lines of one comment where they belong."""

    def __init__(self, source: Source, offset: int) -> None:
        self.source = source
        self.old = source.dialect is Dialect.Y2012
        self.doc = Doc(source, offset)
        self.doc.body.offset = offset
        self.current = self.doc.body
        self.in_features = False

    def read(self, text: str) -> Doc:
        at = self.doc.offset
        after_blank = True
        for raw in text.split("\n"):
            stripped = raw.strip()
            line = stripped[1:].rstrip() if stripped != "##" else ""
            line = line.removeprefix(" ")
            if self.doc.symbol is None and line and not self.doc.body.lines:
                self._first_line(line, at)
            elif line and line[0] not in " \t":
                self._flush_left(line, at, after_blank)
            elif line or self.current.lines:
                self.current.lines.append(line)
            after_blank = not line
            at += len(raw) + 1
        return self.doc

    def _first_line(self, line: str, at: int) -> None:
        found = (_SYMBOL_2012 if self.old else _SYMBOL).match(line)
        if found:
            self.doc.symbol = found[1]
            self.doc.offset = at
            return
        if line.startswith("@"):
            self.doc.complaints.append((at, f"'{line}' should be '@name:' alone on its line"))
        self.doc.body.lines.append(line)

    def _flush_left(self, line: str, at: int, after_blank: bool) -> None:
        found = _ENTRY.match(line) if self.doc.symbol is not None else None
        if found is None:
            if after_blank and not self.old and self.current.name not in _LONG_SECTIONS:
                self._back_to_text()
            self.current.lines.append(line)
            return
        rest = line[found.end() :]
        if found["name"]:
            self._entry(found["name"], at)
        elif found["tag"] == "Features":
            self.in_features = True
            self.current = Section("Features", at)
        elif found["tag"] or self.old:
            self._section(found["tag"] or "Since", at)
        else:
            rest = line
        self.current.lines.append(rest)

    def _back_to_text(self) -> None:
        """An unindented paragraph ends a member's or section's text and belongs to the definition as a whole."""
        self.in_features = False
        self.current = self.doc.body
        self.current.lines.append("")

    def _entry(self, name: str, at: int) -> None:
        entries = self.doc.features if self.in_features else self.doc.members
        self.current = Section(name, at)
        if name in entries:
            self.doc.complaints.append((at, f"'@{name}:' occurs twice"))
        elif not self.in_features and self.doc.sections:
            self.doc.complaints.append((at, f"'@{name}:' must come before the sections"))
        entries[name] = self.current

    def _section(self, tag: str, at: int) -> None:
        self.in_features = False
        if tag in ("Returns", "Errors", "Since", "Removed") and self.doc.tagged(tag):
            self.doc.complaints.append((at, f"section '{tag}:' occurs twice"))
        self.current = Section(tag, at)
        self.doc.sections.append(self.current)


def _clean(lines: list[str]) -> str:
    if not lines:
        return ""
    first = lines[0].strip()
    if first.startswith(("#optional", "@optional")):
        first = first[9:].lstrip()
    rest = lines[1:]
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    return _BLANK_LINES.sub("\n\n", "\n".join([first, *(line[margin:] for line in rest)]).strip())

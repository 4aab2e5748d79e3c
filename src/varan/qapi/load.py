"""From a file name to a checked schema: every stage in turn."""

from __future__ import annotations

import os
from typing import Any

from varan.qapi.build import build
from varan.qapi.check import check
from varan.qapi.definition import META_TYPES, Pragma, RawDefinition
from varan.qapi.doccheck import check_docs
from varan.qapi.doccomment import Doc, read_comment
from varan.qapi.errors import Problem, QapiError
from varan.qapi.model import Definition, Module, Schema
from varan.qapi.parser import Comment, Expression, parse
from varan.qapi.shapes import check_include, check_shape, meta_type, set_pragma
from varan.qapi.source import Dialect, Source, read_source

MAX_INCLUDES = 32
"""One within the other."""


def load_schema(path: str | os.PathLike[str], lenient: bool = False) -> Schema:
    """Read, parse and check a schema with all it includes.

    `lenient` accepts a forgotten comma, as the tools of 2012 did. QapiError: with everything that is wrong.
    """
    loader = _Loader(lenient)
    name = os.fspath(path)
    try:
        source = read_source(name)
    except (OSError, ValueError) as error:
        raise QapiError(Problem(name, 1, 1, f"cannot read it: {_reason(error)}")) from None
    return loader.load(source)


def load_text(text: str, path: str = "schema.json", lenient: bool = False) -> Schema:
    """`load_schema` for a schema that is no file; includes are looked for beside `path`."""
    return _Loader(lenient).load(Source(path, text))


class _Loader:
    def __init__(self, lenient: bool) -> None:
        self.lenient = lenient
        self.pragma = Pragma()
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.definitions: list[RawDefinition] = []
        self.layout: list[tuple[str, list[RawDefinition | Doc]]] = []
        self.seen: set[str] = set()

    def load(self, source: Source) -> Schema:
        self.seen.add(os.path.realpath(source.path))
        try:
            self._file(source)
        except QapiError as error:
            raise QapiError(self._sorted([*self.problems, *error.problems])) from None
        return self._finish()

    def _finish(self) -> Schema:
        builder, built = build(self.definitions, self.problems)
        by_raw: dict[int, Definition] = {id(builder.raw[new]): new for new in built}
        if not self.problems:
            check(builder, built, self.pragma, self.problems)
        for new in built:
            check_docs(new, builder.raw[new], self.pragma, self.problems, self.warnings)
        if self.problems:
            raise QapiError(self._sorted(self.problems))
        schema = builder.schema
        schema.warnings = self._sorted(self.warnings)
        for path, contents in self.layout:
            items = [item if isinstance(item, Doc) else by_raw[id(item)] for item in contents]
            schema.modules.append(Module(path, items))
        return schema

    def _sorted(self, problems: list[Problem]) -> list[Problem]:
        """File by file in the order of inclusion, and from top to bottom."""
        files = {path: index for index, (path, _) in enumerate(self.layout)}
        return sorted(problems, key=lambda p: (files.get(p.path, len(files)), p.line, p.column))

    def _file(self, source: Source) -> None:
        contents: list[RawDefinition | Doc] = []
        self.layout.append((source.path, contents))
        parsed = parse(source, self.lenient)
        self.problems.extend(parsed.problems)
        self.warnings.extend(parsed.warnings)
        pending: Doc | None = None
        for item in parsed.items:
            try:
                if isinstance(item, Comment):
                    pending = self._comment(item, pending, contents)
                else:
                    doc, pending = pending, None
                    self._expression(item, doc, contents)
            except QapiError as error:
                self.problems.extend(error.problems)
        if pending is not None:
            self._dangling(pending)

    def _comment(self, comment: Comment, pending: Doc | None, contents: list[RawDefinition | Doc]) -> Doc | None:
        """The documentation that now waits for its definition."""
        for doc in read_comment(comment.source, comment.offset, comment.text):
            if pending is not None:
                self._dangling(pending)
                pending = None
            for offset, message in doc.complaints:
                self._complain(doc, offset, message)
            if doc.symbol is None:
                contents.append(doc)
            else:
                pending = doc
        return pending

    def _expression(self, expression: Expression, doc: Doc | None, contents: list[RawDefinition | Doc]) -> None:
        meta = meta_type(expression)
        if meta in ("include", "pragma"):
            if doc is not None:
                self._dangling(doc)
            if meta == "include":
                self._include(expression)
            else:
                set_pragma(expression, self.pragma)
            return
        name: Any = expression.value[meta]
        if doc is not None and doc.symbol != name:
            self._complain(doc, doc.offset, f"it stands before '{name}'")
            doc = None
        raw = RawDefinition("struct" if meta == "type" else meta, name, expression, doc)
        assert raw.meta in META_TYPES
        check_shape(raw, self.pragma)
        self.definitions.append(raw)
        contents.append(raw)

    def _include(self, expression: Expression) -> None:
        name = check_include(expression)
        source = expression.source
        offset = expression.offset_of(("include",))
        path = os.path.join(os.path.dirname(source.path), name)
        real = os.path.realpath(path)
        if real in self.seen:
            return
        self.seen.add(real)
        if len(source.included_from) >= MAX_INCLUDES:
            raise source.error(offset, "files include one another too deeply")
        line, _ = source.position(offset)
        chain = ((source.path, line), *source.included_from)
        try:
            included = read_source(path, chain)
        except (OSError, ValueError) as error:
            raise source.error(offset, f"cannot include '{name}': {_reason(error)}") from None
        self._file(included)

    def _dangling(self, doc: Doc) -> None:
        self._complain(doc, doc.offset, "no definition follows")

    def _complain(self, doc: Doc, offset: int, message: str) -> None:
        """An error today; a warning in the 2012 dialect, whose tools did not read documentation."""
        subject = f"documentation of '{doc.symbol}'" if doc.symbol else None
        problem = doc.source.problem(offset, message, subject)
        (self.warnings if doc.source.dialect is Dialect.Y2012 else self.problems).append(problem)


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)

"""Lines of generated code."""

from __future__ import annotations

import re
import textwrap

WIDTH = 110

_REFERENCE = re.compile(r"(?<![\w@])@([A-Za-z_][\w-]*)")

HEADER = '''"""{summary}

Generated from a schema by `varan qapi generate`: change the schema, not this file.
"""

from __future__ import annotations
'''


def docstring(text: str, indent: str, fallback: str = "") -> list[str]:
    """A string literal of documentation, wrapped; nothing if there is nothing to say.

    A reference `@name` becomes `name` in backquotes.
    """
    text = _paragraphs(_REFERENCE.sub(r"`\1`", text), WIDTH - len(indent) - 3) or fallback
    if not text:
        return []
    text = text.replace("\\", "\\\\").replace('"""', "'''")
    if text.endswith('"'):
        text += " "
    lines = text.split("\n")
    lines[0] = '"""' + lines[0]
    if len(lines) == 1 and len(indent + lines[0]) + 3 <= WIDTH:
        return [f'{indent}{lines[0]}"""']
    return [*(f"{indent}{line}".rstrip() for line in lines), f'{indent}"""']


def _paragraphs(text: str, width: int) -> str:
    """Wrapped anew, except for what is indented (examples and lists)."""
    result = []
    for paragraph in text.split("\n\n"):
        lines = paragraph.split("\n")
        if any(line[:1] in (" ", "-", "*") for line in lines):
            result.append("\n".join(line.rstrip() for line in lines))
        else:
            result.append("\n".join(textwrap.wrap(" ".join(paragraph.split()), width, break_long_words=False)))
    return "\n\n".join(part for part in result if part)


def call(start: str, arguments: list[str], end: str, indent: str) -> list[str]:
    """`start(arguments)end` on one line if that fits, else one argument per line."""
    line = f"{indent}{start}({', '.join(arguments)}){end}"
    if len(line) <= WIDTH:
        return [line]
    inner = indent + "    "
    return [f"{indent}{start}(", *(f"{inner}{argument}," for argument in arguments), f"{indent}){end}"]


def imports(module: str, names: list[str]) -> list[str]:
    """`from module import names`, wrapped; nothing if there are no names."""
    if not names:
        return []
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return [line]
    return [f"from {module} import (", *(f"    {name}," for name in names), ")"]

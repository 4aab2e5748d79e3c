"""The examples of docs/python.md and README.md run as they stand there."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

import varan

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python(?P<marks>[^\n]*)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)


def examples(name: str) -> list[Any]:
    """The runnable Python blocks of a document; `no-run` marks one that needs files of the reader's."""
    text = (ROOT / name).read_text()
    return [
        pytest.param(match["code"], id=f"{Path(name).name}:{text[: match.start()].count(chr(10)) + 1}")
        for match in BLOCK.finditer(text)
        if "no-run" not in match["marks"] and "vm.sock" not in match["code"].replace('"vm.sock")', "")
    ]


def compiled(code: str) -> CodeType:
    return compile(code, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("code", examples("docs/python.md") + examples("README.md"))
async def test_the_example_runs(code: str) -> None:
    names = {"varan": varan}
    outcome = eval(compiled(code), names)
    if inspect.isawaitable(outcome):
        await outcome


@pytest.mark.parametrize(
    "document", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda path: path.name
)
def test_links_lead_to_files_that_are_there(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    assert [target for target in targets if ":" not in target and not (document.parent / target).exists()] == []


def test_every_example_with_a_console_pattern_is_found() -> None:
    assert len(examples("docs/python.md")) >= 6
    assert len(examples("README.md")) >= 1

"""The corpus of tiny schemas: cases/*.txt hold a rule each, cases/*.out what the compiler makes of them.

A case begins with `=== what it is about`, with ` [lenient]` where that mode is meant. `python -m
tests.unit.qapi.corpus` writes the expectations anew, to be reviewed as a diff.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.unit.qapi.dump import dump

from varan.qapi.errors import QapiError
from varan.qapi.load import load_text

CASES = Path(__file__).parent / "cases"
_CASE = re.compile(r"^=== (.*)\n", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    group: str
    title: str
    schema: str

    @property
    def name(self) -> str:
        return f"{self.group}: {self.title}"

    def result(self) -> str:
        """Errors, or warnings and the model."""
        lenient = self.title.endswith("[lenient]")
        try:
            schema = load_text(self.schema, "case.json", lenient)
        except QapiError as error:
            return f"{error}\n"
        warnings = "".join(f"warning: {warning}\n" for warning in schema.warnings)
        return warnings + dump(schema)


def _split(path: Path) -> list[tuple[str, str]]:
    parts = _CASE.split(path.read_text(encoding="utf-8"))
    return list(zip(parts[1::2], parts[2::2], strict=True))


def cases() -> list[Case]:
    return [Case(path.stem, *part) for path in sorted(CASES.glob("*.txt")) for part in _split(path)]


def expected() -> dict[str, str]:
    """By the cases' names."""
    found = {}
    for path in sorted(CASES.glob("*.out")):
        for title, text in _split(path):
            found[f"{path.stem}: {title}"] = text
    return found


def rewrite() -> None:
    groups: dict[str, str] = {}
    for case in cases():
        groups[case.group] = groups.get(case.group, "") + f"=== {case.title}\n{case.result()}"
    for group, text in groups.items():
        (CASES / f"{group}.out").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    rewrite()

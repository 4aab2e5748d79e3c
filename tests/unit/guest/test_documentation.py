from __future__ import annotations

import re
from pathlib import Path

from varan.guest import build

MANUAL = Path(__file__).resolve().parents[3] / "docs" / "guest.md"


def test_the_manual_lists_the_commands_with_their_arguments() -> None:
    source = (build.SOURCE / "line.s").read_text()
    usages = set(re.findall(r'^ +command "\w+", \w+, "([^"]+?) - ', source, re.MULTILINE))
    documented = set(re.findall(r"^\| `([^`]+)` \|", MANUAL.read_text(), re.MULTILINE))
    assert usages
    expanded = {"dirty", "dirty N"} | usages - {"dirty [N]"}
    assert documented == expanded

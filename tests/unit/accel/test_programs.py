"""The bytes of the tiny guest programs are what their sources assemble to."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.assemble import assemble
from tests.support.programs import PROGRAMS


@pytest.mark.interop
def test_programs_are_what_their_sources_assemble_to(tmp_path: Path) -> None:
    stale = [name for name, program in PROGRAMS.items() if assemble(program.source, tmp_path).code != program.code]
    assert not stale

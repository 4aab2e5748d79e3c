"""Skips for what a machine may lack, which turn into failures where it is promised to be there."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRED = os.environ.get("VARAN_REQUIRE_TOOLS") == "1"
"""Set where every tool is installed: a missing one is then a failure of that machine's setup."""


def need(present: bool, reason: str) -> None:
    """Skip the test with `reason` unless `present`."""
    if present:
        return
    if REQUIRED:
        pytest.fail(f"required here: {reason}")
    pytest.skip(reason)


def need_tool(program: str, package: str) -> str:
    """The path of an outside program; skips, naming the Debian package that has it."""
    path = shutil.which(program)
    need(path is not None, f"{program} is not installed (Debian package {package})")
    assert path is not None
    return path

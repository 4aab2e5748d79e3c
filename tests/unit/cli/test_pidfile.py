"""The pid file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from varan.cli import pidfile
from varan.errors import VaranError

HOLD = """
import sys
from varan.cli import pidfile
from varan.errors import VaranError
try:
    with pidfile.held(sys.argv[1]):
        print("held")
except VaranError as error:
    print(error)
"""


def try_to_hold_elsewhere(path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", HOLD, str(path)], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()


def test_holds_the_number_and_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pidfile.held(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_is_removed_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), pidfile.held(str(tmp_path / "pid")):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_none_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pidfile.held(None):
        assert list(tmp_path.iterdir()) == []


def test_stale_longer_file_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("12345678901234\n")
    with pidfile.held(str(path)):
        assert path.read_text() == f"{os.getpid()}\n"


def test_relative_path_is_removed_after_a_change_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pidfile.held("pid"):
        os.chdir("/")
    assert list(tmp_path.iterdir()) == []


def test_second_process_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pidfile.held(str(path)):
        assert try_to_hold_elsewhere(path) == f"cannot create PID file: another process holds '{path}'"
        assert path.read_text() == f"{os.getpid()}\n"
    assert try_to_hold_elsewhere(path) == "held"


def test_impossible_path_is_named() -> None:
    with (
        pytest.raises(VaranError, match="could not create '/nonexistent/pid': No such file or directory"),
        pidfile.held("/nonexistent/pid"),
    ):
        pass

"""The program varan-io on raw images, and with requests that a breakpoint stops."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.image_programs import varan_io

from varan.block.shell.session import Session


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    return tmp_path


def run(disk: Path, *commands: str, file: str = "disk", format: str = "raw") -> tuple[int, str]:
    outcome = varan_io(disk, "-f", format, *(word for command in commands for word in ("-c", command)), file)
    return outcome.status, outcome.out


def test_what_is_written_is_read(disk: Path) -> None:
    assert run(disk, "write -q -P 7 512 1k", "read -q -P 7 512 1k", "read -q -P 0 0 512") == (0, "")
    assert (disk / "disk").read_bytes()[512:1536] == b"\x07" * 1024


def test_a_missing_pattern_is_a_failure_and_later_commands_run(disk: Path) -> None:
    status, out = run(disk, "read -q -P 7 0 1k", "length")
    assert (status, out) == (1, "Pattern verification failed at offset 0, 1024 bytes\n1 MiB\n")


def test_the_pattern_of_a_file_is_repeated(disk: Path) -> None:
    (disk / "source").write_bytes(b"abc")
    assert run(disk, f"write -q -s {disk}/source 0 8")[0] == 0
    assert (disk / "disk").read_bytes()[:9] == b"abcabcab\0"


def test_requests_go_on_until_they_are_awaited(disk: Path) -> None:
    status, out = run(disk, "aio_write -q -P 1 0 64k", "aio_write -q -P 2 64k 64k", "aio_flush", "read -q -P 2 64k 64k")
    assert (status, out) == (0, "")


def test_reopening_read_only_refuses_writes(disk: Path) -> None:
    assert run(disk, "reopen -r", "write -q 0 512") == (1, "write failed: Operation not permitted\n")
    assert run(disk, "reopen -r", "reopen -w", "write -q 0 512") == (0, "")


def test_breakpoints_need_a_blkdebug_filter(disk: Path) -> None:
    assert run(disk, "break write_aio A") == (1, "Could not set breakpoint: Operation not supported\n")


def test_waiting_for_a_breakpoint_that_nothing_can_reach_ends(disk: Path) -> None:
    status, out = run(disk, "break write_aio A", "wait_break A", file="blkdebug::disk")
    assert status == 1
    assert "none is under way" in out


def test_help_knows_every_command(disk: Path) -> None:
    out = varan_io(disk, "-c", "help").out
    for name in Session().commands:
        assert varan_io(disk, "-c", f"help {name}").status == 0
    assert "aio_write [-Cfiquz] [-P pattern] off len [len..] -- " in out


def test_without_an_image_commands_say_so(disk: Path) -> None:
    outcome = varan_io(disk, "-c", "length")
    assert (outcome.status, outcome.err) == (1, "no file open, try 'help open'\n")


def test_scripts_see_a_prompt(disk: Path) -> None:
    assert varan_io(disk, "-f", "raw", "disk", script="length\nquit\n").out == "qemu-io> 1 MiB\nqemu-io> "

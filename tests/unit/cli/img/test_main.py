"""The program varan-img: its commands, messages, and what it leaves behind when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.image_programs import varan_img

from varan.block.operations import convert as converting
from varan.block.operations import text
from varan.cli import main as varan
from varan.cli.img import main as img
from varan.cli.img.progress import Progress


@pytest.mark.parametrize("name", img.SUBCOMMANDS)
def test_every_command_has_help(name: str, tmp_path: Path) -> None:
    outcome = varan_img(tmp_path, f"{name} --help")
    assert outcome.status == 0
    assert outcome.out.startswith(f"usage: varan-img {name} ")


def test_the_commands_are_part_of_varan(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert varan.main(["img", "create", "-q", str(tmp_path / "a"), "1M"]) == 0
    assert varan.main(["io", "-f", "raw", "-c", "length", str(tmp_path / "a")]) == 0
    assert capsys.readouterr().out == "1 MiB\n"
    assert varan.main(["img", "zork"]) == 1
    assert capsys.readouterr().err.startswith("varan img: command not found: zork")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "varan-img: not enough arguments (try 'varan-img --help')"),
        ("info", "varan-img: expecting one image file name (try 'varan-img --help')"),
        ("info nofile", "varan-img: Could not open 'nofile': No such file or directory"),
        ("create -f raw a 1Q", "varan-img: image size '1Q' is no size: bytes, or with a suffix k, M, G, T, P or E"),
        ("create -f raw a", "varan-img: a: Image creation needs a size parameter"),
        ("convert -n -O raw there nofile", "varan-img: Could not open 'nofile': No such file or directory"),
        ("rebase there", "varan-img: must specify backing file (-b) or use unsafe mode (-u)"),
        ("check -f raw there", "varan-img: there: This image format does not support checks"),
        ("--object secret info there", "varan-img: command not found: --object"),
        ("info --object tls,id=x there", "varan-img: --object tls: only objects of type 'secret' are known"),
    ],
)
def test_errors_are_one_line_that_names_the_file(command: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(bytes(512))
    outcome = varan_img(tmp_path, command)
    assert outcome.status in (1, 63)
    assert outcome.err == f"{message}\n"


def test_a_target_that_was_made_and_not_finished_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").write_bytes(b"x" * 4096)
    monkeypatch.setattr(converting.Writer, "finish", _interrupted)
    outcome = varan_img(tmp_path, "convert -f raw -O qcow2 source target")
    assert outcome.status == 130
    assert outcome.err == "varan-img: interrupted: removed the incomplete 'target'\nvaran-img: interrupted\n"
    assert not (tmp_path / "target").exists()


def test_a_target_that_was_there_stays_and_is_said_to_be_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("source", "target"):
        (tmp_path / name).write_bytes(b"x" * 4096)
    monkeypatch.setattr(converting.Writer, "finish", _interrupted)
    outcome = varan_img(tmp_path, "convert -n -f raw -O raw source target")
    assert outcome.status == 130
    assert "the content of 'target' is incomplete" in outcome.err
    assert (tmp_path / "target").exists()


async def _interrupted(writer: converting.Writer) -> None:
    raise KeyboardInterrupt


def test_an_image_is_not_converted_onto_itself(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 4096)
    outcome = varan_img(tmp_path, "convert -f raw -O raw a a")
    assert outcome.status == 1
    assert (tmp_path / "a").read_bytes() == b"x" * 4096


def test_options_help_lists_what_a_format_has(tmp_path: Path) -> None:
    out = varan_img(tmp_path, "create -f qcow2 -o help").out
    assert out.startswith("Supported qcow2 options:\n")
    assert "  cluster_size=<size>    - " in out
    assert "  size=<size>            - " in out
    assert varan_img(tmp_path, "amend -f qcow2 -o help").out.startswith("Amend options for 'qcow2':\n")


def test_json_is_json(tmp_path: Path) -> None:
    varan_img(tmp_path, "create -q -f qcow2 a.qcow2 1M")
    for command in ("info", "map", "check", "measure"):
        json.loads(varan_img(tmp_path, f"{command} --output=json a.qcow2").out)


def test_bench_sends_its_requests(tmp_path: Path) -> None:
    varan_img(tmp_path, "create -q -f qcow2 a.qcow2 1M")
    outcome = varan_img(tmp_path, "bench -c 50 -d 4 -w --flush-interval 10 --pattern 7 -f qcow2 a.qcow2")
    assert outcome.out.startswith("Sending 50 write requests, 4096 bytes each, 4 in parallel")
    assert varan_img(tmp_path, "map a.qcow2").out.splitlines()[1].startswith("0               0x40000 ")


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "0.977 KiB"), (65536, "64 KiB"), (1585152, "1.51 MiB"), (1 << 40, "1 TiB")],
)
def test_sizes_for_people(size: int, shown: str) -> None:
    assert text.human_size(size) == shown


def test_progress_ends_with_everything(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(True, interval=0) as progress:
        progress(1, 4)
    assert capsys.readouterr().out == "    (0.00/100%)\r    (25.00/100%)\r    (100.00/100%)\r\n"


def test_no_progress_unless_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(False, interval=0) as progress:
        progress(1, 4)
    assert capsys.readouterr().out == ""

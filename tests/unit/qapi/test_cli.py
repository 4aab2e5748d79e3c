from __future__ import annotations

import json
from pathlib import Path

import pytest

from varan.cli.main import main

_GOOD = "{ 'command': 'go' }\n{ 'event': 'GONE' }\n{ 'enum': 'Color', 'data': [ 'red' ] }\n"
_NO_COMMA = "{ 'enum': 'Color'\n  'data': [ 'red' ] }\n"


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "schema.json"
    path.write_text(_GOOD)
    return path


def test_check_counts_what_a_good_schema_has(schema: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qapi", "check", str(schema)]) == 0
    assert capsys.readouterr().out == f"{schema}: 1 commands, 1 events, 1 types\n"


def test_check_tells_each_error_on_a_line(schema: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema.write_text("{ 'command': 'Go' }\n{ 'event': 'gone' }\n")
    assert main(["qapi", "check", str(schema)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert [line.split(": ")[:2] for line in output.err.splitlines()] == [
        [f"{schema}:1:3", "In command 'Go'"],
        [f"{schema}:2:3", "In event 'gone'"],
    ]


def test_check_accepts_a_forgotten_comma_only_if_lenient(schema: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema.write_text(_NO_COMMA)
    message = f"{schema}:1:18: In enum 'Color': a comma is missing before 'data'"
    assert main(["qapi", "check", str(schema)]) == 1
    assert capsys.readouterr().err == f"{message}\n"
    assert main(["qapi", "check", "--lenient", str(schema)]) == 0
    assert capsys.readouterr().err == f"warning: {message}\n"
    assert main(["qapi", "check", "--lenient", "--quiet", str(schema)]) == 0
    assert capsys.readouterr().err == ""


def test_introspect_prints_json(schema: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qapi", "introspect", str(schema)]) == 0
    assert [entity["name"] for entity in json.loads(capsys.readouterr().out)] == ["go", "GONE", "0"]


def test_introspect_takes_in_what_is_defined(schema: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema.write_text("{ 'command': 'a', 'if': 'HAVE_A' } { 'command': 'b', 'if': 'HAVE_B' }")
    assert main(["qapi", "introspect", str(schema), "--define", "HAVE_B"]) == 0
    assert [entity["name"] for entity in json.loads(capsys.readouterr().out)] == ["b", "0"]


def test_docs_prints_markdown(schema: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qapi", "docs", str(schema), "--title", "Manual"]) == 0
    assert capsys.readouterr().out.startswith("# Manual\n\n## schema\n\n### `go` (command)\n")


def test_diff_prints_what_the_newer_schema_changed(
    schema: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = tmp_path / "newer.json"
    newer.write_text(_GOOD.replace("'go'", "'come'"))
    assert main(["qapi", "diff", str(schema), str(newer)]) == 0
    assert capsys.readouterr().out == "- command 'go'\n+ command 'come'\n"


def test_generate_writes_a_package(schema: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qapi", "generate", str(schema), "--output", str(tmp_path / "api")]) == 0
    assert f"written: {tmp_path}/api/commands.py\n" in capsys.readouterr().out
    assert '"go": CommandInfo("go", "go")' in (tmp_path / "api" / "commands.py").read_text()
    assert main(["qapi", "generate", str(schema), "--output", str(tmp_path / "api")]) == 0
    assert capsys.readouterr().out == ""


def test_file_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qapi", "check", str(tmp_path / "x.json")]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/x.json:1:1: cannot read it: No such file or directory\n"

"""`varan` and its subcommands."""

from __future__ import annotations

import subprocess
import sys

import pytest

from varan.cli import main as cli
from varan.version import VERSION


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"varan {VERSION}\n"


def test_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert version("varan") == VERSION


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help_lists_every_subcommand(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in cli.SUBCOMMANDS)


def test_no_argument_shows_the_usage_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 1
    assert capsys.readouterr().err.startswith("usage: varan COMMAND")


def test_unknown_subcommand_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fly"]) == 1
    assert capsys.readouterr().err == "varan: fly: there is no such command; known are run, qmp, qapi, img, io\n"


def test_bad_option_of_a_subcommand_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--fly"]) == 1
    assert capsys.readouterr().err == "varan run: unrecognized arguments: --fly\n"


@pytest.mark.parametrize("arguments", [["help", "run"], ["run", "--help"]])
def test_help_of_a_subcommand(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert not caught.value.code
    assert "--kernel FILE" in capsys.readouterr().out


def test_version_imports_nothing_heavy() -> None:
    script = "import sys; from varan.cli.main import main; main(['--version']); print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30).stdout
    for heavy in ("asyncio", "argparse", "msgspec", "unicorn", "varan.cli.run", "varan.machine"):
        assert f"'{heavy}'" not in out


@pytest.mark.parametrize("module", ["main", "system"])
def test_help_into_a_closed_pipe_ends_without_a_word(module: str) -> None:
    program = [sys.executable, "-m", f"varan.cli.{module}", "--help" if module == "main" else "-help"]
    child = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.close()
    _, complaint = child.communicate()
    assert complaint == b""
    assert child.returncode == 141

"""`varan qmp` as a user runs it."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.qmp_service import FakeMachine

from varan.cli.main import main
from varan.qmp.server import serve


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    async with await serve(tmp_path / "vm.sock", FakeMachine().service()) as server:
        yield str(server.address)


async def varan_qmp(*arguments: str) -> int:
    return await asyncio.to_thread(main, ["qmp", *arguments])


async def test_command_prints_json_on_one_line(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await varan_qmp(address, "query-status") == 0
    assert capsys.readouterr().out == '{"running": true, "singlestep": false, "status": "running"}\n'


async def test_command_pretty(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await varan_qmp("--pretty", address, "query-name") == 0
    assert capsys.readouterr().out == '{\n  "name": "small"\n}\n'


@pytest.mark.parametrize(("option", "out"), [((), "a b\n"), (("--json",), '"a b\\r\\n"\n')])
async def test_command_that_returns_text(
    address: str, option: tuple[str, ...], out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await varan_qmp(*option, address, "human-monitor-command", "command-line=a b\r\n") == 0
    assert capsys.readouterr().out == out


async def test_error_is_one_line_on_stderr(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await varan_qmp(address, "pmemsave", "val=x") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "varan qmp: Invalid parameter type for 'val', expected: integer\n"


async def test_command_and_event(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await varan_qmp(address, "stop", "--wait-event", "STOP") == 0
    reply, event = map(json.loads, capsys.readouterr().out.splitlines())
    assert (reply, event["event"]) == ({}, "STOP")


async def test_event_that_does_not_come(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await varan_qmp(address, "--wait-event", "STOP", "--timeout", "0.05") == 1
    assert capsys.readouterr().err == "varan qmp: no event STOP within 0.05 s\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("/nonexistent", "query-status"), "cannot connect to unix:/nonexistent: No such file or directory"),
        (("tcp:x", "query-status"), "a TCP address is tcp:HOST:PORT"),
        ((), "required: SOCKET"),
        (("x", "stop", "y"), "'y': an argument is key=value"),
        (("x", "--timeout", "soon"), "a number of seconds"),
    ],
)
async def test_bad_command_line(arguments: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await varan_qmp(*arguments) == 1
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1


async def test_lines_from_a_pipe(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("query-name\nbogus\nhelp stop\nexit\nquery-status\n"))
    assert await varan_qmp(address) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ['{"name": "small"}', "CommandNotFound: The command bogus has not been found", "stop"]
    assert not any('"running"' in line for line in lines)

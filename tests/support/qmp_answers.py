"""The same QMP commands to any program that speaks QEMU's command line."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qemu.qmp import ExecuteError, QMPClient

VARAN = str(Path(sys.executable).with_name("varan-system-x86_64"))
QEMU = "qemu-system-x86_64"

Commands = Sequence[tuple[str, dict[str, Any]]]


async def answers(program: str, directory: Path, words: Sequence[str], commands: Commands) -> list[Any]:
    """What a machine of its own, started in `directory`, answers: each command, and its value or error."""
    socket = directory / "qmp"
    full = [program, "-nodefaults", "-display", "none", *words, "-qmp", f"unix:{socket},server=on,wait=off"]
    client = QMPClient("test")
    process = await asyncio.create_subprocess_exec(*full, cwd=directory, stdout=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(30):
            while not socket.exists():
                await asyncio.sleep(0.02)
        await client.connect(str(socket))
        return [(name, arguments, await _answer(client, name, arguments)) for name, arguments in commands]
    finally:
        await client.disconnect()
        process.kill()
        await process.wait()


async def _answer(client: QMPClient, name: str, arguments: dict[str, Any]) -> Any:
    try:
        return await client.execute(name, arguments)
    except ExecuteError as error:
        return error.error_class, str(error)


def human(*lines: str) -> list[tuple[str, dict[str, Any]]]:
    """Lines of the human monitor as commands."""
    return [("human-monitor-command", {"command-line": line}) for line in lines]

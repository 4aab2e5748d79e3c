"""The same commands to two monitors, and what they answer."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qemu.qmp import EventListener, ExecuteError, QMPClient

VARAN = str(Path(sys.executable).with_name("varan-system-x86_64"))
QEMU = "qemu-system-x86_64"

Commands = Sequence[tuple[str, dict[str, Any]]]


async def answers(
    program: str, directory: Path, drives: Sequence[str], commands: Commands, machine: Sequence[str] = ("-M", "none")
) -> list[Any]:
    """Each command's error or what it returns, and what followed; what QEMU's pauses of its own tell is left out.

    `machine`: further options.
    """
    path = directory / "qmp"
    words = [program, *machine, "-nodefaults", "-display", "none", "-qmp", f"unix:{path},server=on,wait=off"]
    for drive in drives:
        words += ["-drive", drive]
    client = QMPClient("test")
    process = await asyncio.create_subprocess_exec(*words, cwd=directory, stdout=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(30):
            while not _listens(path):
                await asyncio.sleep(0.02)
        await client.connect(str(path))
        listener = EventListener()
        client.register_listener(listener)
        found: list[Any] = []
        for name, arguments in commands:
            found.append((name, arguments, await _answer(client, name, arguments), await _events(client, listener)))
        return found
    finally:
        await client.disconnect()
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def _listens(path: Path) -> bool:
    """A socket is there before it listens."""
    with socket.socket(socket.AF_UNIX) as attempt:
        return attempt.connect_ex(str(path)) == 0


async def _answer(client: QMPClient, name: str, arguments: dict[str, Any]) -> Any:
    try:
        return await client.execute(name, arguments)
    except ExecuteError as error:
        return error.error_class, str(error)


async def _events(client: QMPClient, listener: EventListener) -> list[Any]:
    """What is told until the jobs have nothing more to tell: they stand still, wait, or go at a limited speed."""
    async with asyncio.timeout(30):
        while any(
            job["status"] in ("created", "running", "waiting", "aborting") and (job["speed"] == 0 or job["paused"])
            for job in await client.execute("query-block-jobs")
        ):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    told: list[Any] = []
    while not listener.empty():
        event = await listener.get()
        data = {key: value for key, value in event["data"].items() if key not in ("offset", "len")}
        told.append((event["event"], data))
    pause = [("JOB_STATUS_CHANGE", "paused"), ("JOB_STATUS_CHANGE", "running")]
    kept: list[Any] = []
    for one in told:
        kept.append(one)
        if [(name, data.get("status")) for name, data in kept[-2:]] == pause:
            del kept[-2:]
    return kept

"""A small machine for monitors to serve: handlers, events on demand, and commands that finish when told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from varan.api import events
from varan.api.values import NameInfo, RunState, StatusInfo, VersionInfo, VersionTriple
from varan.errors import DeviceNotFound
from varan.qmp.monitor import Service
from varan.qmp.profile import LATEST, Profile

VERSION = VersionInfo(qemu=VersionTriple(major=7, minor=0, micro=0), package="varan-test")
GREETING = (
    b'{"QMP": {"version": {"qemu": {"major": 7, "minor": 0, "micro": 0}, "package": "varan-test"}, '
    b'"capabilities": ["oob"]}}\r\n'
)
STATUS = b'{"return": {"running": true, "singlestep": false, "status": "running"}}\r\n'
NEGOTIATE = b'{"execute": "qmp_capabilities"}'


class Events:
    """An event source with a fixed clock."""

    def __init__(self) -> None:
        self.subscribers: list[Callable[[events.Event, int, int], None]] = []

    def subscribe(self, subscriber: Callable[[events.Event, int, int], None]) -> Callable[[], None]:
        self.subscribers.append(subscriber)
        return lambda: self.subscribers.remove(subscriber)

    def emit(self, event: events.Event) -> None:
        for subscriber in list(self.subscribers):
            subscriber(event, 1700000000, 250)


class FakeMachine:
    """Commands by name in `handlers`; `memsave` waits until `release` is set."""

    def __init__(self) -> None:
        self.events = Events()
        self.release = asyncio.Event()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.handlers = {
            "query-status": self.query_status,
            "query-name": self.query_name,
            "stop": self.stop,
            "cont": self.cont,
            "memsave": self.memsave,
            "pmemsave": self.pmemsave,
            "human-monitor-command": self.human_monitor_command,
            "inject-nmi": self.inject_nmi,
            "ringbuf-read": self.ringbuf_read,
        }

    def service(self, profile: Profile = LATEST, **options: Any) -> Service:
        return Service(self.handlers, self.events, VERSION, profile=profile, **options)

    async def query_status(self) -> StatusInfo:
        return StatusInfo(running=True, singlestep=False, status=RunState.RUNNING)

    async def query_name(self) -> NameInfo:
        return NameInfo(name="small")

    async def stop(self) -> None:
        self.events.emit(events.Stop())

    async def cont(self) -> None:
        await asyncio.sleep(0)
        self.events.emit(events.Resume())

    async def memsave(self, **arguments: Any) -> None:
        self.calls.append(("memsave", arguments))
        await self.release.wait()

    async def pmemsave(self, **arguments: Any) -> None:
        self.calls.append(("pmemsave", arguments))
        raise DeviceNotFound("ram")

    async def human_monitor_command(self, command_line: str, cpu_index: int = 0) -> str:
        return command_line

    async def inject_nmi(self) -> None:
        raise ZeroDivisionError("a fault in the handler")

    async def ringbuf_read(self, device: str, size: int, format: Any = None) -> str:
        return "x" * size

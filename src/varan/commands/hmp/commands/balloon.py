"""The guest's memory: what it has, and what it shall have."""

from __future__ import annotations

from msgspec import UNSET

from varan.commands import machine as handlers
from varan.commands.hmp.registry import INFO, command
from varan.commands.hmp.session import HmpSession

MIB = 1 << 20


@command("balloon", "target:integer", help="ask the guest to make do with that many MiB of memory")
async def balloon(session: HmpSession, target: int) -> str:
    """As the QMP command."""
    await handlers.balloon(session.machine, target * MIB)
    return ""


@command("balloon", help="how much memory the guest has, and what it says of it", group=INFO)
async def info_balloon(session: HmpSession) -> str:
    """One line, sizes in MiB, pages and faults counted."""
    answer = await handlers.query_balloon(session.machine)
    known = {name: getattr(answer, name) for name in handlers.BALLOON_STATISTICS}
    shown = [f"balloon: actual={answer.actual // MIB}"]
    shown += [f"{name}={value}" for name, value in known.items() if value is not UNSET]
    return " ".join(shown) + "\n"

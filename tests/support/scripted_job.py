"""A job that does what a test tells it, and the loop that jobs of synchronous tests live on."""

from __future__ import annotations

import asyncio

from varan.api.values import JobType
from varan.errors import GenericError
from varan.jobs.job import Job


class ScriptedJob(Job):
    """Ends when `ending` is set: well for "", with an error for another text."""

    kind = JobType.STREAM

    def __init__(self, id: str, *, auto_finalize: bool = True, auto_dismiss: bool = True) -> None:
        super().__init__(id, auto_finalize=auto_finalize, auto_dismiss=auto_dismiss)
        self.ending: str | None = None
        self.wants_ready = False
        self.refusal: str | None = None
        """Why the last step fails."""
        self.steps: list[str] = []

    async def run(self) -> None:
        while self.ending is None and not self.completing:
            if self.wants_ready:
                self.wants_ready = False
                self.become_ready()
            await self.sleep(None)
        if self.ending:
            raise GenericError(self.ending)

    def complete(self) -> None:
        self.completing = True

    async def prepare(self) -> None:
        self.steps.append("prepare")
        if self.refusal is not None:
            raise GenericError(self.refusal)

    def commit(self) -> None:
        self.steps.append("commit")

    async def abort(self) -> None:
        self.steps.append("abort")

    async def clean(self) -> None:
        self.steps.append("clean")


async def settle() -> None:
    """Let everything happen that needs no time to pass."""
    for _ in range(20):
        await asyncio.sleep(0)

"""The jobs of one machine, by id, and what can be asked of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

from varan.api.events import Event, JobStatusChange
from varan.api.values import JobStatus, JobVerb
from varan.errors import GenericError
from varan.jobs.job import Job
from varan.jobs.transaction import Transaction

_ID = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")


class JobManager:
    """All methods are called on one loop. Those without `async` return at once; what they ask for happens soon."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.emit = emit
        self.jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def check_id(self, id: str) -> None:
        """Raises GenericError unless a new job may be called so."""
        if not _ID.fullmatch(id):
            raise GenericError(f"Invalid job ID '{id}'")
        if id in self.jobs:
            raise GenericError(f"Job ID '{id}' already in use")

    def start(self, *jobs: Job, grouped: bool = False) -> None:
        """Let jobs begin; `grouped`: they end together. Raises GenericError, and none has begun."""
        for job in jobs:
            self.check_id(job.id)
        shared = Transaction()
        for job in jobs:
            transaction = shared if grouped else Transaction()
            transaction.add(job)
            self.jobs[job.id] = job
            job.attach(self, transaction)
        for job in jobs:
            job.state.move(JobStatus.RUNNING)
            self._spawn(job.live())

    def find(self, id: str) -> Job:
        """The job called `id`. Raises GenericError."""
        if id not in self.jobs:
            raise GenericError("Job not found")
        return self.jobs[id]

    def pause(self, job: Job) -> None:
        """Stop a job at its next pause point. Raises GenericError."""
        job.state.pause()
        job.wake()

    def resume(self, job: Job) -> None:
        """Let a paused job go on. Raises GenericError."""
        job.state.resume()
        job.wake()

    def cancel(self, job: Job, *, force: bool) -> None:
        """End a job; without `force` one that is ready may end in a good state of its own. Raises GenericError.

        Nothing happens when it takes its last step already.
        """
        job.check(JobVerb.CANCEL)
        if job.transaction.settling:
            return
        if not force and not job.cancelled and job.cancel_softly():
            job.wake()
            return
        over = job.ended
        job.state.cancel()
        job.wake()
        if over:
            self._spawn(job.transaction.cancelled(job))

    def complete(self, job: Job) -> None:
        """End a job that is ready, with its effect. Raises GenericError."""
        job.check(JobVerb.COMPLETE)
        if job.cancelled or job.completing:
            raise GenericError(f"The active block job '{job.id}' cannot be completed")
        job.complete()
        job.wake()

    def finalize(self, job: Job) -> None:
        """Let a pending job, and all of its transaction, take the last step. Raises GenericError."""
        job.check(JobVerb.FINALIZE)
        self._spawn(job.transaction.finalize())

    def dismiss(self, job: Job) -> None:
        """Forget a job that is over. Raises GenericError."""
        job.check(JobVerb.DISMISS)
        job.state.move(JobStatus.NULL)

    def status_changed(self, job: Job, status: JobStatus) -> None:
        """A job has moved."""
        if status is JobStatus.NULL:
            self.jobs.pop(job.id, None)
        self.emit(JobStatusChange(id=job.id, status=status))

    async def close(self) -> None:
        """Cancel everything and return when it has ended."""
        for job in list(self.jobs.values()):
            if job.state.status is JobStatus.CONCLUDED:
                self.dismiss(job)
            elif job.state.status is not JobStatus.ABORTING:
                self.cancel(job, force=True)
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        for job in list(self.jobs.values()):
            self.dismiss(job)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

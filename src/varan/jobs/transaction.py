"""Jobs that end together: all have their effect, or none."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from varan.api.values import JobStatus
from varan.errors import VaranError

if TYPE_CHECKING:
    from varan.jobs.job import Job

log = logging.getLogger(__name__)


class Transaction:
    """A group of jobs; one that is in no other group is one of its own."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self._failing = False
        self.settling = False
        """The last steps have begun: it is too late to cancel."""

    def add(self, job: Job) -> None:
        """Add a job, before any of them has ended."""
        self.jobs.append(job)

    async def work_ended(self, job: Job) -> None:
        """A job's work is over, in whatever way."""
        if job.failed or self._failing:
            await self._fail()
            return
        job.state.move(JobStatus.WAITING)
        if all(each.state.status is JobStatus.WAITING for each in self.jobs):
            for each in self.jobs:
                each.state.move(JobStatus.PENDING)
                if not each.auto_finalize:
                    each.announce_pending()
            if all(each.auto_finalize for each in self.jobs):
                await self.finalize()

    async def cancelled(self, job: Job) -> None:
        """A job whose work is over is to have no effect after all."""
        if not self.settling:
            await self._fail()

    async def finalize(self) -> None:
        """Take every job's last step. All are pending."""
        if self.settling:
            return
        self.settling = True
        for job in self.jobs:
            try:
                await job.prepare()
            except VaranError as error:
                job.error = str(error)
            except Exception as error:
                log.exception("job '%s' failed in its last step", job.id)
                job.error = str(error) or type(error).__name__
            if job.error is not None:
                await self._fail()
                return
        for job in self.jobs:
            job.commit()
        await self._conclude()

    async def _fail(self) -> None:
        """End all jobs without effect, as soon as each one's work is over."""
        self._failing = True
        for job in self.jobs:
            if not job.failed:
                job.state.cancel()
                job.wake()
        if not all(job.ended for job in self.jobs):
            return
        self.settling = True
        for job in self.jobs:
            job.state.move(JobStatus.ABORTING)
        for job in self.jobs:
            await job.abort()
        await self._conclude()

    async def _conclude(self) -> None:
        for job in self.jobs:
            await job.clean()
            job.announce_end()
            job.state.move(JobStatus.CONCLUDED)
            if job.auto_dismiss:
                job.state.move(JobStatus.NULL)

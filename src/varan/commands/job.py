"""Handlers of schema/job.json."""

from __future__ import annotations

from varan.api.values import JobInfo
from varan.commands.registry import handler
from varan.machine.machine import Machine


@handler("job-pause")
async def job_pause(machine: Machine, id: str) -> None:
    """The job may be at work a little longer."""
    machine.jobs.pause(machine.jobs.find(id))


@handler("job-resume")
async def job_resume(machine: Machine, id: str) -> None:
    """What a job that stopped for an error has to do is tried again."""
    machine.jobs.resume(machine.jobs.find(id))


@handler("job-cancel")
async def job_cancel(machine: Machine, id: str) -> None:
    """With force, whatever the job is doing."""
    machine.jobs.cancel(machine.jobs.find(id), force=True)


@handler("job-complete")
async def job_complete(machine: Machine, id: str) -> None:
    """Returns at once; the job tells when it is done."""
    machine.jobs.complete(machine.jobs.find(id))


@handler("job-dismiss")
async def job_dismiss(machine: Machine, id: str) -> None:
    """The id is free again."""
    machine.jobs.dismiss(machine.jobs.find(id))


@handler("job-finalize")
async def job_finalize(machine: Machine, id: str) -> None:
    """Returns at once; the jobs tell when they are done."""
    machine.jobs.finalize(machine.jobs.find(id))


@handler("query-jobs")
async def query_jobs(machine: Machine) -> list[JobInfo]:
    """In the order in which they began."""
    return [job.info() for job in machine.jobs.jobs.values()]

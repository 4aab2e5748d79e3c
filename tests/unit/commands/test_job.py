from __future__ import annotations

import pytest
from tests.support.fake_machine import FakeMachine
from tests.support.scripted_job import ScriptedJob, settle

from varan.commands import job as commands
from varan.errors import GenericError


async def test_a_job_is_watched_and_asked(machine: FakeMachine) -> None:
    job = ScriptedJob("a", auto_finalize=False, auto_dismiss=False)
    job.total, job.wants_ready = 10, True
    machine.jobs.start(job)
    await settle()
    (info,) = await commands.query_jobs(machine)
    assert (info.id, info.type.value, info.status.value, info.current_progress, info.total_progress) == (
        "a",
        "stream",
        "ready",
        0,
        10,
    )
    for ask, status in (
        (commands.job_pause, "standby"),
        (commands.job_resume, "ready"),
        (commands.job_complete, "pending"),
        (commands.job_finalize, "concluded"),
    ):
        await ask(machine, "a")
        await settle()
        (info,) = await commands.query_jobs(machine)
        assert info.status.value == status
    await commands.job_dismiss(machine, "a")
    assert await commands.query_jobs(machine) == []


async def test_a_cancelled_job_has_no_effect(machine: FakeMachine) -> None:
    job = ScriptedJob("a")
    machine.jobs.start(job)
    await commands.job_cancel(machine, "a")
    await settle()
    assert job.steps == ["abort", "clean"]


async def test_jobs_that_are_not_there_are_not_found(machine: FakeMachine) -> None:
    with pytest.raises(GenericError, match="Job not found"):
        await commands.job_pause(machine, "a")

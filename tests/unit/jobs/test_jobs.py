from __future__ import annotations

import asyncio

import pytest
from tests.support.scripted_job import ScriptedJob, settle

from varan.api.events import Event, JobStatusChange
from varan.api.values import JobStatus
from varan.errors import GenericError
from varan.jobs.manager import JobManager
from varan.jobs.status import ImpossibleMoveError


class Watched(JobManager):
    """A manager whose events are kept, as "id:status"."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        super().__init__(self._keep)

    def _keep(self, event: Event) -> None:
        assert isinstance(event, JobStatusChange)
        self.seen.append(f"{event.id}:{event.status.value}")


async def test_every_status_is_told() -> None:
    manager, job = Watched(), ScriptedJob("a")
    manager.start(job)
    await settle()
    job.ending = ""
    job.wake()
    await settle()
    assert manager.seen == [
        f"a:{status}" for status in ["created", "running", "waiting", "pending", "concluded", "null"]
    ]
    assert job.steps == ["prepare", "commit", "clean"]
    assert manager.jobs == {}


async def test_what_fails_is_undone_and_says_why() -> None:
    manager, job = Watched(), ScriptedJob("a", auto_dismiss=False)
    manager.start(job)
    job.ending = "no luck"
    await settle()
    assert manager.seen == [f"a:{status}" for status in ["created", "running", "aborting", "concluded"]]
    assert job.steps == ["abort", "clean"]
    assert job.info().error == "no luck"
    manager.dismiss(job)
    with pytest.raises(GenericError, match="Job not found"):
        manager.find("a")


async def test_a_failing_last_step_fails_the_job() -> None:
    manager, job = Watched(), ScriptedJob("a")
    job.ending, job.refusal = "", "disk full"
    manager.start(job)
    await settle()
    assert manager.seen[-3:] == ["a:aborting", "a:concluded", "a:null"]
    assert job.error == "disk full"
    assert job.steps == ["prepare", "abort", "clean"]


async def test_a_paused_job_stands_still_and_goes_on() -> None:
    manager, job = Watched(), ScriptedJob("a")
    manager.start(job)
    manager.pause(job)
    with pytest.raises(GenericError, match="already paused"):
        manager.pause(job)
    await settle()
    assert manager.seen[-1] == "a:paused"
    job.ending = ""
    job.wake()
    await settle()
    assert manager.seen[-1] == "a:paused"
    manager.resume(job)
    await settle()
    assert manager.seen[-1] == "a:null"


async def test_a_ready_job_that_pauses_is_on_standby() -> None:
    manager, job = Watched(), ScriptedJob("a")
    job.wants_ready = True
    manager.start(job)
    await settle()
    manager.pause(job)
    await settle()
    manager.complete(job)
    await settle()
    assert manager.seen[-1] == "a:standby"
    manager.resume(job)
    await settle()
    assert manager.seen[2:7] == [f"a:{status}" for status in ["ready", "standby", "ready", "waiting", "pending"]]


async def test_a_cancelled_job_ends_though_it_was_paused() -> None:
    manager, job = Watched(), ScriptedJob("a")
    manager.start(job)
    manager.pause(job)
    await settle()
    manager.cancel(job, force=True)
    await settle()
    assert manager.seen[-5:] == [f"a:{status}" for status in ["paused", "running", "aborting", "concluded", "null"]]


async def test_grouped_jobs_have_their_effect_together() -> None:
    manager, one, two = Watched(), ScriptedJob("a"), ScriptedJob("b", auto_finalize=False)
    one.ending = ""
    manager.start(one, two, grouped=True)
    await settle()
    assert one.info().status.value == "waiting"
    two.ending = ""
    two.wake()
    await settle()
    assert (one.steps, two.steps) == ([], [])
    manager.finalize(one)
    await settle()
    assert one.steps == two.steps == ["prepare", "commit", "clean"]


@pytest.mark.parametrize("who", ["one", "two"])
async def test_one_failure_undoes_the_whole_group(who: str) -> None:
    manager, one, two = Watched(), ScriptedJob("a"), ScriptedJob("b")
    one.ending = ""
    if who == "one":
        one.refusal = "no room"
    manager.start(one, two, grouped=True)
    await settle()
    two.ending = "" if who == "one" else "no luck"
    two.wake()
    await settle()
    assert manager.jobs == {}
    assert "commit" not in one.steps + two.steps
    assert one.steps[-2:] == two.steps[-2:] == ["abort", "clean"]


async def test_cancelling_what_waits_for_finalization_undoes_it() -> None:
    manager, job = Watched(), ScriptedJob("a", auto_finalize=False)
    job.ending = ""
    manager.start(job)
    await settle()
    manager.cancel(job, force=False)
    await settle()
    assert manager.seen[-4:] == ["a:pending", "a:aborting", "a:concluded", "a:null"]


async def test_closing_ends_every_job() -> None:
    manager = Watched()
    jobs = [ScriptedJob("a"), ScriptedJob("b", auto_dismiss=False), ScriptedJob("c", auto_finalize=False)]
    jobs[2].ending = ""
    manager.start(*jobs)
    await settle()
    manager.pause(jobs[0])
    await manager.close()
    assert manager.jobs == {}
    assert all(job.steps == ["abort", "clean"] for job in jobs)


@pytest.mark.parametrize("id", ["", "1a", "a b", "#block0"])
async def test_ids_are_checked(id: str) -> None:
    with pytest.raises(GenericError, match="Invalid job ID"):
        Watched().start(ScriptedJob(id))


async def test_ids_are_used_once() -> None:
    manager = Watched()
    manager.start(ScriptedJob("a"))
    with pytest.raises(GenericError, match="already in use"):
        manager.start(ScriptedJob("a"))
    await manager.close()


async def test_there_is_no_way_but_the_tables() -> None:
    manager, job = Watched(), ScriptedJob("a")
    manager.start(job)
    await asyncio.sleep(0)
    with pytest.raises(ImpossibleMoveError):
        job.state.move(JobStatus.PENDING)
    await manager.close()

"""Random verbs to random jobs, against a model that is a few lines long."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.support.scripted_job import ScriptedJob, settle

from varan.api.events import Event, JobStatusChange
from varan.errors import GenericError
from varan.jobs.manager import JobManager
from varan.jobs.status import MOVES

AT_WORK = ("running", "ready", "paused", "standby")
JOBS = st.integers(0, 2)


@dataclass
class Model:
    """What a job is to be in. Two of them are a group."""

    group: int
    auto_finalize: bool
    auto_dismiss: bool
    status: str = "running"
    completing: bool = False


class Verbs(RuleBasedStateMachine):
    """Jobs 0 and 1 end together, job 2 alone."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.last: dict[str, str] = {}
        self.manager = JobManager(self._event)
        self.jobs: list[ScriptedJob] = []
        self.models: list[Model] = []

    def _event(self, event: Event) -> None:
        assert isinstance(event, JobStatusChange)
        before = self.last.get(event.id, "undefined")
        allowed = {status.value: {way.value for way in ways} for status, ways in MOVES.items()}
        assert event.status.value in allowed[before]
        self.last[event.id] = event.status.value

    @rule(flags=st.lists(st.booleans(), min_size=6, max_size=6))
    def begin(self, flags: list[bool]) -> None:
        """New jobs, once the old ones are gone."""
        if any(model.status != "null" for model in self.models):
            return
        self.last.clear()
        self.models = [Model(index // 2, flags[index], flags[index + 3]) for index in range(3)]
        self.jobs = [
            ScriptedJob(f"job{index}", auto_finalize=model.auto_finalize, auto_dismiss=model.auto_dismiss)
            for index, model in enumerate(self.models)
        ]
        self._do(lambda: self.manager.start(*self.jobs[:2], grouped=True))
        self._do(lambda: self.manager.start(self.jobs[2]))

    def _do(self, work: object) -> bool:
        """Whether it was allowed."""

        async def go() -> bool:
            try:
                work()  # type: ignore[operator]
            except GenericError:
                return False
            finally:
                await settle()
            return True

        return self.loop.run_until_complete(go())

    def _verb(self, index: int, verb: str, allowed: tuple[str, ...]) -> bool:
        """Ask it; whether the model says that something happens."""
        if not self.jobs:
            return False
        arguments = {"force": True} if verb == "cancel" else {}
        job = self.jobs[index]
        done = self._do(lambda: getattr(self.manager, verb)(job, **arguments))
        assert done == (self.models[index].status in allowed)
        return done

    def _end(self, index: int, *, well: bool) -> None:
        mine = [model for model in self.models if model.group == self.models[index].group]
        if well:
            self.models[index].status = "waiting"
            if all(model.status == "waiting" for model in mine):
                for model in mine:
                    model.status = "pending"
                if all(model.auto_finalize for model in mine):
                    self._conclude(mine)
        else:
            self._conclude(mine)

    def _conclude(self, models: list[Model]) -> None:
        for model in models:
            model.status = "null" if model.auto_dismiss else "concluded"

    @rule(index=JOBS)
    def pause(self, index: int) -> None:
        if self._verb(index, "pause", ("running", "ready")):
            self.models[index].status = {"running": "paused", "ready": "standby"}[self.models[index].status]

    @rule(index=JOBS)
    def resume(self, index: int) -> None:
        if self._verb(index, "resume", ("paused", "standby")):
            self.models[index].status = {"paused": "running", "standby": "ready"}[self.models[index].status]
            self._work(index)

    @rule(index=JOBS)
    def cancel(self, index: int) -> None:
        if self._verb(index, "cancel", (*AT_WORK, "waiting", "pending")):
            self._end(index, well=False)

    @rule(index=JOBS)
    def complete(self, index: int) -> None:
        asked = bool(self.models) and self.models[index].completing
        if self._verb(index, "complete", () if asked else ("ready", "standby")):
            self.models[index].completing = True
            self._work(index)

    @rule(index=JOBS)
    def finalize(self, index: int) -> None:
        if self._verb(index, "finalize", ("pending",)):
            group = [model for model in self.models if model.group == self.models[index].group]
            self._conclude(group)

    @rule(index=JOBS)
    def dismiss(self, index: int) -> None:
        if self._verb(index, "dismiss", ("concluded",)):
            self.models[index].status = "null"

    @rule(index=JOBS, ending=st.sampled_from(["", "no luck"]))
    def work_ends(self, index: int, ending: str) -> None:
        if self.jobs and self.models[index].status in AT_WORK and self.jobs[index].ending is None:
            self.jobs[index].ending = ending
            self._do(self.jobs[index].wake)
            self._work(index)

    @rule(index=JOBS)
    def becomes_ready(self, index: int) -> None:
        if self.jobs and self.models[index].status == "running":
            self.jobs[index].wants_ready = True
            self._do(self.jobs[index].wake)
            self.models[index].status = "ready"

    def _work(self, index: int) -> None:
        """A job that does not stand still comes to its end, where it has one."""
        ending = self.jobs[index].ending
        over = ending is not None or self.models[index].completing
        if over and self.models[index].status in ("running", "ready"):
            self._end(index, well=not ending)

    @invariant()
    def statuses_agree(self) -> None:
        for index, model in enumerate(self.models):
            assert self.last[f"job{index}"] == model.status
            assert (f"job{index}" in self.manager.jobs) == (model.status != "null")

    def teardown(self) -> None:
        self.loop.run_until_complete(self.manager.close())
        self.loop.close()


Verbs.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestVerbs = Verbs.TestCase

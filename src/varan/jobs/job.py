"""One job: a coroutine that can be stopped at points of its own choice, and the steps at its end.

A job's work (`run`) is done while it is running, paused or ready. When every job of its transaction has come so far,
each takes the step that may still fail (`prepare`), and then the one that may not (`commit`). A job that fails, is
cancelled, or whose companions fail undoes what it began (`abort`). `clean` comes at the very end, either way.
"""

from __future__ import annotations

import abc
import asyncio
import logging
from typing import TYPE_CHECKING, ClassVar

from msgspec import UNSET

from varan.api.values import JobInfo, JobStatus, JobType, JobVerb
from varan.errors import GenericError, VaranError
from varan.jobs.status import JobState

if TYPE_CHECKING:
    from varan.jobs.manager import JobManager
    from varan.jobs.transaction import Transaction

log = logging.getLogger(__name__)

_WITHOUT_EFFECT = (JobStatus.ABORTING, JobStatus.CONCLUDED)


class JobCancelledError(Exception):
    """Raised in a job's work at the point where it ends because it was cancelled."""


class Job(abc.ABC):
    """A long operation. All methods are called on the manager's loop."""

    kind: ClassVar[JobType]

    def __init__(self, id: str, *, auto_finalize: bool = True, auto_dismiss: bool = True) -> None:
        """`auto_finalize`, `auto_dismiss`: whether it takes its last step, and is forgotten, without being asked."""
        self.id = id
        self.auto_finalize = auto_finalize
        self.auto_dismiss = auto_dismiss
        self.done = 0
        """Progress, in units of the job's own."""
        self.total = 0
        self.error: str | None = None
        self.busy = False
        """At work, and not waiting for time to pass or for somebody."""
        self.completing = False
        """Somebody asked it to end well."""
        self.ended = False
        """The work is over: `run` has returned or raised."""
        self.transaction: Transaction
        self.state = JobState(id, self._status_changed)
        self._manager: JobManager
        self._woken: asyncio.Future[None] | None = None

    @abc.abstractmethod
    async def run(self) -> None:
        """The work. Raises VaranError when it fails; passes `pause_point` often."""

    async def prepare(self) -> None:
        """The last step that may fail. Raises VaranError."""

    def commit(self) -> None:
        """The job has its effect now."""

    async def abort(self) -> None:
        """Undo what was begun. Does not raise."""

    async def clean(self) -> None:
        """Release what the job holds, after `commit` or `abort`. Does not raise."""

    def complete(self) -> None:
        """End well soon, from ready. Raises GenericError where the job knows no such thing."""
        raise GenericError(f"The active block job '{self.id}' cannot be completed")

    def cancel_softly(self) -> bool:
        """Whether the job takes a cancellation without force as a wish to end in a good state, and will."""
        return False

    def guest_resumed(self) -> None:
        """The guest was let go on: what stood still for an error is looked at as mended."""

    def announce_ready(self) -> None:
        """Events beside the status's own, here and below."""

    def announce_pending(self) -> None:
        return

    def announce_end(self) -> None:
        return

    def attach(self, manager: JobManager, transaction: Transaction) -> None:
        """The job is a manager's from now on."""
        self._manager = manager
        self.transaction = transaction
        self.state.move(JobStatus.CREATED)

    def _status_changed(self, status: JobStatus) -> None:
        self._manager.status_changed(self, status)

    @property
    def cancelled(self) -> bool:
        """Whether somebody, or a companion's failure, asked for its end."""
        return self.state.cancelled

    @property
    def failed(self) -> bool:
        """Whether it ends without its effect."""
        return self.cancelled or self.error is not None

    @property
    def failure(self) -> str | None:
        """Why it ends, or has ended, without its effect."""
        if self.error is None and self.cancelled and self.state.status in _WITHOUT_EFFECT:
            return "Operation canceled"
        return self.error

    # What the work calls.

    async def pause_point(self) -> None:
        """Stop here as long as somebody wants a pause. Raises JobCancelledError."""
        if self.state.user_paused and not self.cancelled:
            self.state.hold()
            self.busy = False
            while self.state.user_paused:
                await self._wait(None)
            self.busy = True
            self.state.go_on()
        if self.cancelled:
            raise JobCancelledError

    async def sleep(self, seconds: float | None) -> None:
        """Let time pass (None: no end), less when somebody asks something of the job. Raises JobCancelledError."""
        self.busy = False
        if not self.cancelled and not self.state.user_paused:
            await self._wait(seconds)
        self.busy = True
        await self.pause_point()

    async def _wait(self, seconds: float | None) -> None:
        self._woken = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._woken], timeout=seconds)
        self._woken = None

    def wake(self) -> None:
        """Something has changed that a sleeping job wants to know."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def become_ready(self) -> None:
        """What it copies is copied; from now on it only keeps up."""
        self.state.move(JobStatus.READY)
        self.announce_ready()

    def check(self, verb: JobVerb) -> None:
        """Raises GenericError when the job does not take `verb` now."""
        self.state.check(verb)

    # The life around the work.

    async def live(self) -> None:
        """Do the work, and end. The job is running."""
        self.busy = True
        try:
            await self.pause_point()
            await self.run()
        except JobCancelledError:
            pass
        except VaranError as error:
            self.error = str(error)
        except Exception as error:
            log.exception("job '%s' failed", self.id)
            self.error = str(error) or type(error).__name__
        self.busy = False
        self.ended = True
        await self.transaction.work_ended(self)

    def info(self) -> JobInfo:
        """As `query-jobs` shows it."""
        return JobInfo(
            id=self.id,
            type=self.kind,
            status=self.state.status,
            current_progress=self.done,
            total_progress=self.total,
            error=UNSET if self.failure is None else self.failure,
        )

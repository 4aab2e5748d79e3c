"""How a job moves from status to status, and what may be asked of it on the way: the tables, and nothing that waits.

The tables are the only authority. Whoever moves a job where `MOVES` has no way has a bug (`ImpossibleMoveError`);
whoever asks for what `ALLOWED` does not have is told so (GenericError).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from varan.api.values import JobStatus, JobVerb
from varan.errors import GenericError

MOVES: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.UNDEFINED: frozenset({JobStatus.CREATED, JobStatus.NULL}),
    JobStatus.CREATED: frozenset({JobStatus.RUNNING, JobStatus.ABORTING, JobStatus.NULL}),
    JobStatus.RUNNING: frozenset({JobStatus.PAUSED, JobStatus.READY, JobStatus.WAITING, JobStatus.ABORTING}),
    JobStatus.PAUSED: frozenset({JobStatus.RUNNING}),
    JobStatus.READY: frozenset({JobStatus.STANDBY, JobStatus.WAITING, JobStatus.ABORTING}),
    JobStatus.STANDBY: frozenset({JobStatus.READY}),
    JobStatus.WAITING: frozenset({JobStatus.PENDING, JobStatus.ABORTING}),
    JobStatus.PENDING: frozenset({JobStatus.ABORTING, JobStatus.CONCLUDED}),
    JobStatus.ABORTING: frozenset({JobStatus.CONCLUDED}),
    JobStatus.CONCLUDED: frozenset({JobStatus.NULL}),
    JobStatus.NULL: frozenset(),
}
"""Status by status, where a job may go from there."""

_AT_WORK = frozenset({JobStatus.CREATED, JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.READY, JobStatus.STANDBY})

ALLOWED: Mapping[JobVerb, frozenset[JobStatus]] = {
    JobVerb.CANCEL: _AT_WORK | {JobStatus.WAITING, JobStatus.PENDING},
    JobVerb.PAUSE: _AT_WORK,
    JobVerb.RESUME: _AT_WORK,
    JobVerb.SET_SPEED: _AT_WORK,
    JobVerb.COMPLETE: frozenset({JobStatus.READY, JobStatus.STANDBY}),
    JobVerb.FINALIZE: frozenset({JobStatus.PENDING}),
    JobVerb.DISMISS: frozenset({JobStatus.CONCLUDED}),
    JobVerb.CHANGE: _AT_WORK,
}
"""Verb by verb, in which status a job takes it."""

_HELD = {JobStatus.RUNNING: JobStatus.PAUSED, JobStatus.READY: JobStatus.STANDBY}
_GOING_ON = {held: status for status, held in _HELD.items()}


class ImpossibleMoveError(RuntimeError):
    """A job was moved where the table has no way."""


class JobState:
    """The status of one job and what was asked of it."""

    def __init__(self, id: str, changed: Callable[[JobStatus], None]) -> None:
        """`changed` hears of every move, after it."""
        self.id = id
        self.status = JobStatus.UNDEFINED
        self.user_paused = False
        """Somebody asked for a pause (the job may not have come to it yet)."""
        self.cancelled = False
        self._changed = changed

    def move(self, status: JobStatus) -> None:
        """Go to another status. Raises ImpossibleMoveError."""
        if status not in MOVES[self.status]:
            raise ImpossibleMoveError(f"job '{self.id}' cannot go from {self.status.value} to {status.value}")
        self.status = status
        self._changed(status)

    def check(self, verb: JobVerb) -> None:
        """Raises GenericError when the job does not take `verb` now."""
        if self.status not in ALLOWED[verb]:
            raise GenericError(
                f"Job '{self.id}' in state '{self.status.value}' cannot accept command verb '{verb.value}'"
            )

    def pause(self) -> None:
        """Somebody wants it to stop for a while. Raises GenericError."""
        self.check(JobVerb.PAUSE)
        if self.user_paused:
            raise GenericError("Job is already paused")
        self.user_paused = True

    def resume(self) -> None:
        """Somebody wants it to go on. Raises GenericError."""
        self.check(JobVerb.RESUME)
        if not self.user_paused:
            raise GenericError("Can't resume a job that was not paused")
        self.user_paused = False

    def cancel(self) -> None:
        """Somebody wants it to end; a pause does not keep it from that. Raises GenericError."""
        self.check(JobVerb.CANCEL)
        self.cancelled = True
        self.user_paused = False

    def hold(self) -> None:
        """It has come to a point where it can stop, and does."""
        self.move(_HELD[self.status])

    def go_on(self) -> None:
        """It leaves that point."""
        self.move(_GOING_ON[self.status])

    @property
    def at_work(self) -> bool:
        """Whether its work has begun and not ended."""
        return self.status in _AT_WORK and self.status is not JobStatus.CREATED

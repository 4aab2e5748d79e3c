"""Run states: which there are moves between, and the one place that makes them.

The states are the protocol's `RunState`. `MOVES` is the only authority on what may follow what; `RunStateMachine.move`
is the only way to change, and refuses a move that the table lacks without changing anything.
"""

from __future__ import annotations

import logging

from varan.api.values import RunState
from varan.errors import GenericError

log = logging.getLogger("varan.machine")

_RESTING = frozenset(
    {
        RunState.PAUSED,
        RunState.IO_ERROR,
        RunState.INTERNAL_ERROR,
        RunState.WATCHDOG,
        RunState.GUEST_PANICKED,
        RunState.SHUTDOWN,
        RunState.DEBUG,
        RunState.SAVE_VM,
        RunState.RESTORE_VM,
        RunState.FINISH_MIGRATE,
        RunState.SUSPENDED,
    }
)
"""What a running machine may come to."""

NEEDS_RESET = frozenset({RunState.SHUTDOWN, RunState.INTERNAL_ERROR})
"""States from which a machine only goes on after a reset."""

_RESUMABLE = frozenset({RunState.RUNNING, RunState.PRELAUNCH, RunState.FINISH_MIGRATE})

MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.PRELAUNCH: frozenset({RunState.RUNNING, RunState.INMIGRATE, RunState.RESTORE_VM, RunState.SUSPENDED}),
    RunState.RUNNING: _RESTING,
    RunState.PAUSED: _RESUMABLE | {RunState.POSTMIGRATE, RunState.SAVE_VM, RunState.RESTORE_VM},
    RunState.IO_ERROR: _RESUMABLE,
    RunState.WATCHDOG: _RESUMABLE,
    RunState.GUEST_PANICKED: _RESUMABLE,
    RunState.DEBUG: frozenset({RunState.RUNNING, RunState.PRELAUNCH}),
    RunState.SUSPENDED: _RESUMABLE | {RunState.PAUSED, RunState.SHUTDOWN},
    RunState.SHUTDOWN: frozenset({RunState.PAUSED, RunState.PRELAUNCH, RunState.FINISH_MIGRATE}),
    RunState.INTERNAL_ERROR: frozenset({RunState.PAUSED, RunState.PRELAUNCH, RunState.FINISH_MIGRATE}),
    RunState.INMIGRATE: _RESTING | {RunState.RUNNING, RunState.PRELAUNCH, RunState.POSTMIGRATE},
    RunState.FINISH_MIGRATE: frozenset({RunState.RUNNING, RunState.PAUSED, RunState.POSTMIGRATE, RunState.PRELAUNCH}),
    RunState.POSTMIGRATE: frozenset({RunState.RUNNING, RunState.FINISH_MIGRATE, RunState.PRELAUNCH}),
    RunState.SAVE_VM: frozenset({RunState.RUNNING, RunState.PAUSED}),
    RunState.RESTORE_VM: frozenset({RunState.RUNNING, RunState.PRELAUNCH, RunState.PAUSED}),
}
"""From each state the states that may follow."""


class RunStateMachine:
    """The run state of one machine; a new one is in `prelaunch`."""

    def __init__(self) -> None:
        self._state = RunState.PRELAUNCH

    @property
    def state(self) -> RunState:
        """The state now."""
        return self._state

    @property
    def running(self) -> bool:
        """Whether the guest executes."""
        return self._state is RunState.RUNNING

    def move(self, to: RunState) -> None:
        """Go to `to`; staying where one is is always allowed. Raises GenericError for a move there is not."""
        if to is self._state:
            return
        if to not in MOVES.get(self._state, frozenset()):
            raise GenericError(f"The machine cannot go from {self._state.value} to {to.value}")
        log.info("%s -> %s", self._state.value, to.value)
        self._state = to

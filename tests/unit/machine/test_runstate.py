"""The table of run states."""

from __future__ import annotations

import pytest

from varan.api.values import RunState
from varan.errors import GenericError
from varan.machine.runstate import MOVES, RunStateMachine


def at(state: RunState) -> RunStateMachine:
    machine = RunStateMachine()
    machine._state = state
    return machine


def test_a_new_machine_is_in_prelaunch_and_does_not_run() -> None:
    machine = RunStateMachine()
    assert machine.state is RunState.PRELAUNCH
    assert not machine.running


@pytest.mark.parametrize("start", list(RunState))
@pytest.mark.parametrize("to", list(RunState))
def test_exactly_the_moves_of_the_table_are_made_and_all_others_change_nothing(start: RunState, to: RunState) -> None:
    machine = at(start)
    if to is start or to in MOVES.get(start, ()):
        machine.move(to)
        assert machine.state is to
    else:
        with pytest.raises(GenericError, match=f"from {start.value} to {to.value}"):
            machine.move(to)
        assert machine.state is start


def test_whatever_stops_a_running_machine_leaves_a_way_back() -> None:
    for state in MOVES[RunState.RUNNING]:
        reachable, frontier = {state}, [state]
        while frontier:
            for following in MOVES[frontier.pop()] - reachable:
                reachable.add(following)
                frontier.append(following)
        assert RunState.RUNNING in reachable, state


def test_after_a_shutdown_or_an_internal_error_only_a_reset_leads_on() -> None:
    for state in (RunState.SHUTDOWN, RunState.INTERNAL_ERROR):
        assert RunState.RUNNING not in MOVES[state]
        assert RunState.PRELAUNCH in MOVES[state]

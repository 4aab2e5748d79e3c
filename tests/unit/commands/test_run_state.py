from __future__ import annotations

import pytest
from tests.support.fake_machine import FakeMachine

from varan.api.values import PanicAction, RebootAction, RunState, ShutdownAction
from varan.commands import run_state
from varan.errors import GenericError, MigrationExpected


async def test_query_status_follows_stop_and_cont(machine: FakeMachine) -> None:
    seen = [await run_state.query_status(machine)]
    await run_state.cont(machine)
    seen.append(await run_state.query_status(machine))
    await run_state.stop(machine)
    seen.append(await run_state.query_status(machine))
    assert [(answer.running, answer.status) for answer in seen] == [
        (False, RunState.PRELAUNCH),
        (True, RunState.RUNNING),
        (False, RunState.PAUSED),
    ]
    assert not any(answer.singlestep for answer in seen)


async def test_stop_returns_with_every_cpu_at_rest(machine: FakeMachine) -> None:
    await run_state.cont(machine)
    assert all(thread.running for thread in machine.threads)
    await run_state.stop(machine)
    assert not any(thread.running for thread in machine.threads)


async def test_cont_before_a_migration_has_arrived_says_so(machine: FakeMachine) -> None:
    machine.run_state.move(RunState.INMIGRATE)
    with pytest.raises(MigrationExpected):
        await run_state.cont(machine)
    assert machine.run_state.state is RunState.INMIGRATE


async def test_cont_after_a_shutdown_asks_for_a_reset(machine: FakeMachine) -> None:
    await run_state.cont(machine)
    machine.run_state.move(RunState.SHUTDOWN)
    with pytest.raises(GenericError, match=r"(?i)reset"):
        await run_state.cont(machine)


async def test_system_reset_restarts_the_machine(machine: FakeMachine) -> None:
    await run_state.system_reset(machine)
    assert machine.restarts == 1


async def test_set_action_changes_only_what_it_names(machine: FakeMachine) -> None:
    await run_state.set_action(machine, reboot=RebootAction.SHUTDOWN)
    await run_state.set_action(machine, panic=PanicAction.NONE)
    actions = machine.actions
    assert (actions.reboot, actions.shutdown, actions.panic) == (
        RebootAction.SHUTDOWN,
        ShutdownAction.POWEROFF,
        PanicAction.NONE,
    )


async def test_system_powerdown_presses_the_button_and_leaves_the_rest_to_the_guest(machine: FakeMachine) -> None:
    await run_state.cont(machine)
    await run_state.system_powerdown(machine)
    assert machine.button_presses == 1
    assert machine.run_state.running


async def test_system_wakeup_needs_a_guest_that_sleeps_and_a_machine_that_can(machine: FakeMachine) -> None:
    await run_state.cont(machine)
    with pytest.raises(GenericError, match="Unable to wake up: guest is not in suspended state"):
        await run_state.system_wakeup(machine)
    machine.can_sleep = False
    with pytest.raises(GenericError, match="not supported"):
        await run_state.system_wakeup(machine)

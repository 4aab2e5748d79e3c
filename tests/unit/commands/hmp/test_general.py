from __future__ import annotations

import pytest
from tests.support.fake_machine import FakeMachine

from varan.api.values import WatchdogAction
from varan.commands.hmp.commands import general
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.session import HmpSession


async def test_watchdog_action_sets_what_a_watchdog_leads_to(machine: FakeMachine) -> None:
    session = HmpSession(machine)  # type: ignore[arg-type]
    for action in WatchdogAction:
        assert await general.watchdog_action(session, action.value) == ""
        assert machine.lifecycle.actions.watchdog is action


async def test_an_unknown_action_is_refused_with_the_known_ones(machine: FakeMachine) -> None:
    session = HmpSession(machine)  # type: ignore[arg-type]
    with pytest.raises(HmpError, match="there is no action 'explode'; known are reset, shutdown"):
        await general.watchdog_action(session, "explode")

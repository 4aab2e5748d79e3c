"""Handlers of schema/run-state.json."""

from __future__ import annotations

from varan.api.values import PanicAction, RebootAction, RunState, ShutdownAction, StatusInfo, WatchdogAction
from varan.commands.registry import handler
from varan.errors import GenericError, MigrationExpected
from varan.machine.machine import Machine


@handler("query-status")
async def query_status(machine: Machine) -> StatusInfo:
    """The run state."""
    run_state = machine.run_state
    return StatusInfo(running=run_state.running, singlestep=False, status=run_state.state)


@handler("stop")
async def stop(machine: Machine) -> None:
    """Returns once no instruction runs."""
    await machine.stop()


@handler("cont")
async def cont(machine: Machine) -> None:
    """Raises MigrationExpected while the machine waits for one."""
    if machine.run_state.state is RunState.INMIGRATE:
        raise MigrationExpected
    await machine.cont()


@handler("system_reset")
async def system_reset(machine: Machine) -> None:
    """Returns once the machine has been reset."""
    await machine.system_reset()


@handler("system_powerdown")
async def system_powerdown(machine: Machine) -> None:
    """Returns when the button has been pressed, whatever comes of it."""
    machine.press_power_button()


@handler("system_wakeup")
async def system_wakeup(machine: Machine) -> None:
    """Returns once the guest is awake."""
    if not machine.can_sleep:
        raise GenericError("wake-up from suspend is not supported by this guest")
    await machine.system_wakeup()


@handler("set-action")
async def set_action(
    machine: Machine,
    reboot: RebootAction | None = None,
    shutdown: ShutdownAction | None = None,
    panic: PanicAction | None = None,
    watchdog: WatchdogAction | None = None,
) -> None:
    """Holds for what the guest does from now on."""
    actions = machine.actions
    if reboot is not None:
        actions.reboot = reboot
    if shutdown is not None:
        actions.shutdown = shutdown
    if panic is not None:
        actions.panic = panic
    if watchdog is not None:
        actions.watchdog = watchdog


@handler("watchdog-set-action")
async def watchdog_set_action(machine: Machine, action: WatchdogAction) -> None:
    """The older way to say it."""
    machine.actions.watchdog = action

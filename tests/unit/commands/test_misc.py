from __future__ import annotations

import pytest
from tests.support.fake_machine import FakeMachine

from varan.api.values import CommandLineOptionInfo
from varan.commands import misc
from varan.errors import GenericError, InvalidParameterValue


async def test_human_monitor_command_returns_terminal_lines(machine: FakeMachine) -> None:
    assert await misc.human_monitor_command(machine, "info name") == "lizard\r\n"


async def test_human_monitor_command_means_the_given_cpu(machine: FakeMachine) -> None:
    machine.cpus[1].state.gprs[0] = 0x77
    assert await misc.human_monitor_command(machine, "p $rax", cpu_index=1) == "0x77\r\n"


async def test_human_monitor_command_forgets_the_cpu_between_calls(machine: FakeMachine) -> None:
    machine.cpus[1].state.gprs[0] = 0x77
    await misc.human_monitor_command(machine, "cpu 1")
    assert await misc.human_monitor_command(machine, "p $rax") == "0x0\r\n"


async def test_human_monitor_command_refuses_a_bad_cpu(machine: FakeMachine) -> None:
    with pytest.raises(InvalidParameterValue):
        await misc.human_monitor_command(machine, "info name", cpu_index=2)


async def test_human_monitor_command_reports_errors_as_text(machine: FakeMachine) -> None:
    assert (await misc.human_monitor_command(machine, "x/i 0")).startswith("Error: format 'i'")


async def test_command_line_is_described_by_whoever_read_it(machine: FakeMachine) -> None:
    assert await misc.query_command_line_options(machine) == []
    options = [CommandLineOptionInfo(option="smp-opts", parameters=[])]
    machine.command_line = lambda: options
    assert await misc.query_command_line_options(machine, "smp-opts") == options
    with pytest.raises(GenericError, match="invalid option name: smp"):
        await misc.query_command_line_options(machine, "smp")

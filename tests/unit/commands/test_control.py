from __future__ import annotations

from tests.support.fake_machine import FakeMachine

from varan.api.values import ShutdownCause
from varan.commands import control
from varan.version import VERSION


async def test_query_version_tells_the_protocol_and_the_package(machine: FakeMachine) -> None:
    answer = await control.query_version(machine)
    assert (answer.qemu.major, answer.qemu.minor, answer.qemu.micro) == (7, 0, 0)
    assert answer.package == f"varan-{VERSION}"


async def test_quit_ends_the_machine_for_its_own_reason(machine: FakeMachine) -> None:
    await control.quit(machine)
    assert machine.ended_by is ShutdownCause.HOST_QMP_QUIT

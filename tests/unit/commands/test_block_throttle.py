"""block_set_io_throttle: which drive, which limits, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.fake_machine import FakeMachine

from varan.api.values import BlockIOThrottle
from varan.block.limiting import shown_limits
from varan.commands.block_throttle import block_set_io_throttle
from varan.commands.hmp.session import HmpSession
from varan.errors import DeviceHasNoMedium, DeviceNotFound, GenericError, InvalidParameterCombination
from varan.machine.spec import DriveSpec
from varan.qmp.profile import Profile

NONE = {"bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}


@pytest.fixture
async def drives(machine: FakeMachine, tmp_path: Path) -> Any:
    """A machine with drives d0, d1 and `empty`, which has no medium."""
    for name in ("d0", "d1"):
        path = tmp_path / name
        path.write_bytes(bytes(4096))
        await machine.drives.open(DriveSpec(name, {"filename": str(path)}, "raw", limits={"iops-total": 3}))
    await machine.drives.open(DriveSpec("empty", None))
    return machine


def shown(machine: Any, name: str) -> dict[str, int | str]:
    return shown_limits(machine.drives.backends[name])


async def limit(machine: Any, **arguments: Any) -> None:
    await block_set_io_throttle(machine, BlockIOThrottle(**{**NONE, **arguments}))


async def test_a_drive_has_the_limits_that_it_was_made_with(drives: Any) -> None:
    assert shown(drives, "d0") == {**NONE, "iops": 3, "group": "d0"}


async def test_all_limits_are_replaced(drives: Any) -> None:
    await limit(drives, device="d0", bps_rd=100, bps_rd_max=200, bps_rd_max_length=4)
    burst = {"bps_rd_max": 200, "bps_rd_max_length": 4}
    assert shown(drives, "d0") == {**NONE, "bps_rd": 100, **burst, "group": "d0"}
    await limit(drives, device="d0")
    assert shown(drives, "d0") == NONE


async def test_drives_of_a_group_have_the_limits_that_came_last(drives: Any) -> None:
    await limit(drives, device="d0", bps=100, group="g")
    await limit(drives, device="d1", bps=200, group="g")
    assert shown(drives, "d0") == shown(drives, "d1") == {**NONE, "bps": 200, "group": "g"}
    assert list(drives.drives.throttle_groups) == ["g"]


async def test_a_group_that_a_user_made_is_joined(drives: Any) -> None:
    made = await drives.objects.add("throttle-group", "g", {"limits": {"iops-total": 7}})
    await limit(drives, device="d0", bps=100, group="g")
    assert made.get("limits")["bps-total"] == 100
    assert made.get("limits")["iops-total"] == 0
    assert made.in_use
    await limit(drives, device="d0")
    assert not made.in_use
    with pytest.raises(GenericError, match="A group with this name already exists"):
        await drives.objects.add("throttle-group", "d1", {})


async def test_what_cannot_be_is_refused_in_the_words_of_the_session(drives: Any) -> None:
    with pytest.raises(InvalidParameterCombination) as refused:
        await limit(drives, device="d0", bps=1, bps_wr=1)
    why = "bps/iops/max total values and read/write values cannot be used at the same time"
    assert Profile.named("latest").render(refused.value) == {"class": "GenericError", "desc": why}
    rich = Profile.named("1.1").render(refused.value)
    assert (rich["class"], rich["data"]) == ("InvalidParameterCombination", {})
    assert shown(drives, "d0")["iops"] == 3
    with pytest.raises(DeviceNotFound):
        await limit(drives, device="nope", bps=1)
    with pytest.raises(DeviceHasNoMedium, match="Device has no medium") as without:
        await limit(drives, device="empty", bps=1)
    assert Profile.named("1.1").render(without.value)["data"] == {"device": "empty"}
    with pytest.raises(GenericError, match="Need exactly one of 'device' and 'id'"):
        await limit(drives, bps=1)


async def test_the_human_monitor_sets_the_six(drives: Any) -> None:
    session = HmpSession(drives)
    assert await session.execute("block_set_io_throttle d0 0 1 2 0 3 4") == ""
    assert shown(drives, "d0") == {
        "bps": 0,
        "bps_rd": 1,
        "bps_wr": 2,
        "iops": 0,
        "iops_rd": 3,
        "iops_wr": 4,
        "group": "d0",
    }
    assert await session.execute("block_set_io_throttle xx 0 0 0 0 0 0") == "Error: Device 'xx' not found\n"

from __future__ import annotations

import struct
from collections.abc import AsyncIterator

import pytest
from tests.support.fake_machine import RAM_SIZE, FakeMachine
from tests.support.pci import PciRig

from varan.api import events
from varan.commands import machine as handlers
from varan.commands import qom
from varan.commands.hmp.commands import balloon as hmp
from varan.commands.hmp.session import HmpSession
from varan.devices.virtio.balloon import ACTUAL_OFFSET
from varan.devices.virtio.balloon_types import STATISTICS, VirtioBalloonDevice
from varan.errors import DeviceNotActive, GenericError, InvalidParameterValue, KVMMissingCap
from varan.machine.spec import DeviceSpec

PAGES = RAM_SIZE >> 12
PATH = "/machine/peripheral/b0"


@pytest.fixture
async def balloon(machine: FakeMachine) -> AsyncIterator[VirtioBalloonDevice]:
    """The machine's balloon."""
    rig = PciRig(memory=machine.memory)
    machine.tree.unattached.add_child("pci.0", rig.bus)
    await machine.peripherals.add(DeviceSpec("virtio-balloon-pci", id="b0"))
    backend = machine.peripherals.plugged["peripheral/b0"].inner[0]
    assert isinstance(backend, VirtioBalloonDevice)
    yield backend


def inflate(balloon: VirtioBalloonDevice, pages: int) -> None:
    balloon.core.write_config(ACTUAL_OFFSET, struct.pack("<I", pages))


async def test_without_a_balloon_there_is_none_to_ask(machine: FakeMachine) -> None:
    for call in (handlers.query_balloon(machine), handlers.balloon(machine, 1 << 20)):
        with pytest.raises(DeviceNotActive, match="No balloon device has been activated"):
            await call


async def test_where_kvm_cannot_take_memory_the_balloon_is_refused(
    machine: FakeMachine, balloon: VirtioBalloonDevice
) -> None:
    machine.accelerator.synchronous_mmu = False
    for call in (handlers.query_balloon(machine), handlers.balloon(machine, 1 << 20)):
        with pytest.raises(KVMMissingCap, match="Using KVM without synchronous MMU, balloon unavailable"):
            await call


@pytest.mark.parametrize(
    ("value", "target"), [(RAM_SIZE // 2, PAGES // 2), (1 << 62, 0), (1, PAGES - 1), (RAM_SIZE, 0)]
)
async def test_a_target_is_counted_in_pages_that_the_guest_shall_give(
    machine: FakeMachine, balloon: VirtioBalloonDevice, value: int, target: int
) -> None:
    await handlers.balloon(machine, value)
    assert balloon.core.state.target == target


@pytest.mark.parametrize("value", [0, -1])
async def test_a_target_that_is_no_size_is_refused(
    machine: FakeMachine, balloon: VirtioBalloonDevice, value: int
) -> None:
    with pytest.raises(InvalidParameterValue, match="Parameter 'target' expects a size"):
        await handlers.balloon(machine, value)


async def test_the_guests_answer_is_reported_and_told(machine: FakeMachine, balloon: VirtioBalloonDevice) -> None:
    told: list[events.Event] = []
    machine.environment.emit = told.append
    assert (await handlers.query_balloon(machine)).actual == RAM_SIZE
    inflate(balloon, 10)
    answer = await handlers.query_balloon(machine)
    assert answer.actual == RAM_SIZE - 40960
    assert not answer.free_mem
    assert told == [events.BalloonChange(actual=RAM_SIZE - 40960)]


async def test_statistics_are_there_once_the_guest_has_told_them(
    machine: FakeMachine, balloon: VirtioBalloonDevice
) -> None:
    unknown = (1 << 64) - 1
    stats = await qom.qom_get(machine, PATH, "guest-stats")
    assert stats == {"stats": dict.fromkeys(STATISTICS, unknown), "last-update": 0}
    balloon.core.state.statistics = {"0": -1, "2": 7, "4": 4096, "77": 5}
    balloon.core.state.last_update = 123
    stats = await qom.qom_get(machine, PATH, "guest-stats")
    assert stats["stats"]["stat-free-memory"] == 4096
    assert stats["stats"]["stat-swap-in"] == unknown
    assert stats["last-update"] == 123
    answer = await handlers.query_balloon(machine)
    assert (answer.major_page_faults, answer.free_mem) == (7, 4096)
    assert not answer.mem_swapped_in
    session = HmpSession(machine)  # type: ignore[arg-type]
    assert await hmp.info_balloon(session) == "balloon: actual=1 major_page_faults=7 free_mem=4096\n"


async def test_the_polling_interval_is_a_property(machine: FakeMachine, balloon: VirtioBalloonDevice) -> None:
    name = "guest-stats-polling-interval"
    assert await qom.qom_get(machine, PATH, name) == 0
    await qom.qom_set(machine, PATH, name, 5)
    assert await qom.qom_get(machine, PATH, name) == 5
    with pytest.raises(InvalidParameterValue):
        await qom.qom_set(machine, PATH, name, -1)


async def test_questions_may_be_asked_from_the_start(machine: FakeMachine) -> None:
    machine.tree.unattached.add_child("pci.0", PciRig(memory=machine.memory).bus)
    name = "guest-stats-polling-interval"
    with pytest.raises(InvalidParameterValue, match="seconds from 0 to"):
        await machine.peripherals.add(DeviceSpec("virtio-balloon-pci", settings={name: -1}))
    made = await machine.peripherals.add(DeviceSpec("virtio-balloon-pci", id="b0", settings={name: "3"}))
    (backend,) = made.inner
    assert isinstance(backend, VirtioBalloonDevice)
    assert (backend.core.interval, made.get(name), backend.get(name)) == (3, 3, 3)
    made.set(name, 5)
    assert (backend.core.interval, made.get(name), backend.get(name)) == (5, 5, 5)


async def test_a_machine_has_one_balloon(machine: FakeMachine, balloon: VirtioBalloonDevice) -> None:
    with pytest.raises(GenericError, match="Only one balloon device is supported"):
        await machine.peripherals.add(DeviceSpec("virtio-balloon-pci", id="b1"))
    assert len(machine.peripherals.plugged) == 1


async def test_the_monitor_counts_in_mebibytes(machine: FakeMachine, balloon: VirtioBalloonDevice) -> None:
    session = HmpSession(machine)  # type: ignore[arg-type]
    assert await hmp.info_balloon(session) == "balloon: actual=1\n"
    assert await hmp.balloon(session, 1) == ""
    assert balloon.core.state.target == 0

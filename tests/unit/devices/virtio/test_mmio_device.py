"""Transports with memory-mapped registers as devices that users ask for, and what sits on their buses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.bus import Bus

from varan.board.pc import Pc, PcConfig
from varan.core.qom import Container
from varan.devices.environment import Environment
from varan.devices.pluggable import PluggableDevice
from varan.errors import GenericError, InvalidParameterValue
from varan.machine.peripherals import Peripherals
from varan.machine.spec import DeviceSpec
from varan.machine.tree import Tree

MAGIC, DEVICE_ID = 0, 8
RNG, CONSOLE = 4, 3


class Rig:
    """A PC, and the devices that a user adds."""

    def __init__(self, globals: tuple[tuple[str, str, str], ...] = ()) -> None:
        self.tree = Tree(Container())
        self.environment: Environment = Bus().environment(lock=threading.RLock(), unattached=self.tree.unattached)
        self.pc = Pc(PcConfig(memory=1 << 20, globals=globals), self.environment)
        self.peripherals = Peripherals(self.tree, self.environment, globals)
        self.pc.plugged = self.peripherals.plugged

    async def add(self, driver: str, id: str | None = None, bus: str | None = None, **settings: Any) -> PluggableDevice:
        return await self.peripherals.add(DeviceSpec(driver, id, bus, settings))

    def register(self, address: int) -> int:
        return self.environment.memory.read(address, 4)

    def described(self) -> bytes:
        """The DSDT."""
        return next(table.data for table in self.pc.acpi_tables() if table.name == "DSDT")


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.pc.close()


async def test_transports_find_places_of_their_own(rig: Rig) -> None:
    made = [await rig.add("virtio-mmio") for _ in range(5)]
    assert [(device.get("addr"), device.get("irq")) for device in made] == [
        (0xFED60000 + 0x200 * number, 16 + number % 4) for number in range(5)
    ]
    await rig.add("virtio-rng-device", bus="virtio-mmio-bus.3")
    assert [rig.register(0xFED60000 + 0x200 * number + DEVICE_ID) for number in range(5)] == [0, 0, 0, RNG, 0]


async def test_users_choose_address_and_interrupt(rig: Rig) -> None:
    await rig.add("virtio-mmio", "t", addr="0xd0000000", irq="5")
    await rig.add("virtio-serial-device", "s", bus="t.0")
    assert rig.register(0xD0000000 + DEVICE_ID) == CONSOLE
    assert (await rig.add("virtserialport", bus="s.0")).get("nr") == 1


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"addr": "0x100"}, InvalidParameterValue, "'addr' expects a multiple of 512"),
        ({"addr": "0x1000"}, GenericError, "virtio-mmio: virtio-mmio at 0x1000 overlaps ram"),
        ({"addr": "0xfec00000"}, GenericError, "overlaps"),
        ({"irq": "24"}, InvalidParameterValue, "'irq' expects a global system interrupt up to 23"),
    ],
)
async def test_what_cannot_be_is_refused(rig: Rig, settings: dict[str, str], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        await rig.add("virtio-mmio", **settings)
    assert rig.tree.anonymous.children == {}


async def test_a_bus_takes_one_virtio_device_and_nothing_else(rig: Rig) -> None:
    with pytest.raises(GenericError, match="No 'virtio-bus' bus found for device 'virtio-rng-device'"):
        await rig.add("virtio-rng-device")
    await rig.add("virtio-mmio")
    bus = "virtio-mmio-bus.0"
    with pytest.raises(GenericError, match="Device 'virtio-rng-pci' can't go on virtio-mmio-bus bus"):
        await rig.add("virtio-rng-pci", bus=bus)
    device = await rig.add("virtio-rng-device")
    with pytest.raises(GenericError, match=f"Bus '{bus}' is full"):
        await rig.add("virtio-rng-device", bus=bus)
    with pytest.raises(GenericError, match=f"Bus '{bus}' does not support hotplugging"):
        await rig.peripherals.remove(device, "rng")


async def test_tables_tell_of_transports_with_a_device(rig: Rig) -> None:
    await rig.add("virtio-mmio")
    assert b"LNRO0005" not in rig.described()
    await rig.add("virtio-rng-device")
    assert b"LNRO0005" in rig.described()


async def test_a_device_that_cannot_be_leaves_its_bus_empty(rig: Rig) -> None:
    await rig.add("virtio-mmio")
    with pytest.raises(GenericError, match="needs an IOMMU"):
        await rig.add("virtio-rng-device", iommu_platform="on")
    await rig.add("virtio-rng-device")


async def test_a_machine_is_saved_with_its_transports(rig: Rig) -> None:
    await rig.add("virtio-mmio")
    await rig.add("virtio-rng-device")
    saved = rig.pc.save()
    rig.environment.memory.write(0xFED60070, 4, 3)
    assert rig.register(0xFED60070) == 3
    rig.pc.load(saved)
    assert rig.register(0xFED60070) == 0


async def test_a_device_on_pci_has_the_same_device_in_it(rig: Rig) -> None:
    disk = await rig.add("virtio-rng-pci", "r", **{"max-bytes": "512"})
    backend = disk.children["virtio-backend"]
    assert (backend.path, backend.type_name) == ("/machine/peripheral/r/virtio-backend", "virtio-rng-device")
    assert backend.get("parent_bus") == "/machine/peripheral/r/virtio-bus"
    assert (backend.get("max-bytes"), disk.get("max-bytes")) == (512, 512)
    with pytest.raises(GenericError, match="Bus 'virtio-bus' is full"):
        await rig.add("virtio-rng-device", bus="virtio-bus")


@pytest.mark.parametrize("driver", ["virtio-rng-device", "virtio-rng-pci", "virtio-device"])
async def test_other_defaults_may_be_given_by_either_name(driver: str) -> None:
    rig = Rig(globals=((driver, "event_idx", "off"),))
    assert (await rig.add("virtio-rng-pci")).get("event_idx") is False
    rig.pc.close()

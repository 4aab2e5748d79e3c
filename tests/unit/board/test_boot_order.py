"""What a PC tells firmware to boot from."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.support.bus import Bus

from varan.board import bootorder, fwcfg
from varan.board.bootorder import BootOrder
from varan.board.fwcfg import FirmwareSettings
from varan.board.pc import Pc, PcConfig
from varan.core.qom import Container
from varan.devices.environment import NoEnds
from varan.devices.pluggable import PluggableDevice
from varan.errors import GenericError
from varan.machine.peripherals import Peripherals
from varan.machine.spec import DeviceSpec
from varan.machine.tree import Tree
from varan.net.network import Network

MIB = 1 << 20


class Ends(NoEnds):
    """A network, and no other host ends."""

    def __init__(self) -> None:
        self._network = Network()

    @property
    def network(self) -> Network:
        return self._network


class Rig(Bus):
    """A PC, whose firmware configuration is read as firmware does."""

    def __init__(self, **order: Any) -> None:
        super().__init__()
        self.tree = Tree(Container())
        self.environment = self.environment(
            lock=threading.RLock(), ends=Ends(), machine=self.tree.machine, unattached=self.tree.unattached
        )
        settings = FirmwareSettings(bytes(range(16)), BootOrder(**order), {"opt/mine": b"yes"})
        self.pc = Pc(PcConfig(memory=MIB, cpus=3, firmware=settings), self.environment)
        self.peripherals = Peripherals(self.tree, self.environment, ())
        self.pc.plugged = self.peripherals.plugged
        self.pc.reset()

    async def add(self, driver: str, id: str | None = None, bus: str | None = None, **given: Any) -> PluggableDevice:
        return await self.peripherals.add(DeviceSpec(driver, id, bus, given))

    def item(self, key: int, length: int) -> bytes:
        self.ports.write(0x510, 2, key)
        return bytes(self.inb(0x511) for _ in range(length))

    def files(self) -> dict[str, bytes]:
        (count,) = struct.unpack(">I", self.item(0x19, 4))
        listed = self.item(0x19, 4 + 64 * count)[4:]
        entries = [struct.unpack(">IHxx56s", listed[at : at + 64]) for at in range(0, len(listed), 64)]
        return {name.rstrip(b"\0").decode(): self.item(key, length) for length, key, name in entries}

    def cells(self) -> tuple[int, int]:
        found = []
        for index in (0x3D, 0x38):
            self.outb(0x70, index)
            found.append(self.inb(0x71))
        return found[0], found[1]


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.pc.close()


def test_letters_become_cells() -> None:
    assert bootorder.cells("cad") == {0x3D: 0x12, 0x38: 0x30}
    assert bootorder.cells("n") == {0x3D: 0x04, 0x38: 0}


def test_another_order_holds_until_the_first_reset() -> None:
    rig = Rig(order="nc", once="d")
    assert rig.cells() == (0x03, 0)
    rig.pc.reset()
    assert rig.cells() == (0x24, 0)
    rig.pc.set_boot_order("a")
    rig.pc.reset()
    assert rig.cells() == (0x01, 0)


def test_the_machine_is_described(rig: Rig) -> None:
    assert rig.item(fwcfg.UUID, 16) == bytes(range(16))
    assert rig.item(fwcfg.RAM_SIZE, 8) == struct.pack("<Q", MIB)
    assert rig.item(fwcfg.CPUS, 2) == rig.item(fwcfg.MOST_CPUS, 2) == b"\3\0"
    assert rig.item(fwcfg.NO_GRAPHICS, 2) == b"\1\0"
    files = rig.files()
    assert files["opt/mine"] == b"yes"
    assert files["etc/e820"] == struct.pack("<QQI", 0, MIB, 1)
    assert files["bootorder"] == b""
    assert {"etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader"} <= files.keys()
    assert "etc/boot-menu-wait" not in files


def test_waits_and_the_menu_are_told() -> None:
    rig = Rig(menu=True, menu_milliseconds=500, retry_milliseconds=-1)
    assert rig.item(fwcfg.BOOT_MENU, 2) == b"\1\0"
    assert (rig.files()["etc/boot-menu-wait"], rig.files()["etc/boot-fail-wait"]) == (b"\xf4\1", b"\xff" * 4)


async def test_devices_are_tried_in_the_order_of_their_places(rig: Rig) -> None:
    await rig.add("pci-bridge", "br", addr="5")
    await rig.add("virtio-net-pci", "second", bus="br", addr="3", bootindex=7)
    await rig.add("virtio-net-pci", "first", addr="4", multifunction=True)
    await rig.add("virtio-net-pci", "third", addr="4.1", bootindex=8)
    await rig.add("virtio-mmio")
    await rig.add("virtio-net-device", "fourth", bootindex=9)
    rig.tree.peripheral.children["first"].set("bootindex", 0)
    assert rig.files()["bootorder"].split(b"\n") == [
        b"/pci@i0cf8/ethernet@4/ethernet-phy@0",
        b"/pci@i0cf8/pci-bridge@5/ethernet@3/ethernet-phy@0",
        b"/pci@i0cf8/ethernet@4,1/ethernet-phy@0",
        b"/virtio-mmio@00000000fed60000/ethernet-phy@0\0",
    ]


async def test_a_place_has_one_device(rig: Rig) -> None:
    await rig.add("virtio-net-pci", "one", bootindex=1)
    with pytest.raises(GenericError, match="The bootindex 1 has already been used"):
        await rig.add("virtio-net-pci", "other", bootindex=1)
    other: Any = await rig.add("virtio-net-pci", "other", bootindex=2)
    with pytest.raises(GenericError, match="The bootindex 1 has already been used"):
        other.set("bootindex", 1)
    other.set("bootindex", 2)
    other.backend.set("bootindex", 3)
    assert (other.get("bootindex"), other.backend.get("bootindex")) == (3, 3)
    other.set("bootindex", -1)
    await rig.add("virtio-net-pci", bootindex=3)


async def test_a_strict_order_ends_with_a_halt() -> None:
    rig = Rig(strict=True)
    assert rig.files()["bootorder"] == b"HALT\0"
    await rig.add("virtio-net-pci", addr="3", bootindex=1)
    assert rig.files()["bootorder"] == b"/pci@i0cf8/ethernet@3/ethernet-phy@0\nHALT\0"


def test_a_name_is_used_once() -> None:
    config = PcConfig(memory=MIB, firmware=replace(FirmwareSettings(), files={"etc/e820": b""}))
    with pytest.raises(GenericError, match="duplicate fw_cfg file name: etc/e820"):
        Pc(config, Bus().environment())

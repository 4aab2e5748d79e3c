"""Virtio over PCI, driven through configuration space, memory and ports as a guest does."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from tests.support.pci import PciRig
from tests.support.virtio_driver import GuestMemory, SplitDriver, chain
from tests.support.virtio_echo import EchoPci

from varan.core.state import decode, encode
from varan.devices.pci import registers as r
from varan.devices.virtio import pci_registers as v
from varan.errors import GenericError

DEVFN = 5 << 3
PORTS, TABLE, MODERN = 0xC000, 0xE0000000, 0x1_0000_0000
ON = r.COMMAND_IO | r.COMMAND_MEMORY | r.COMMAND_MASTER
CONFIG_VECTOR, QUEUE_VECTOR = 0, 1


class Guest:
    """A guest with one such device, whose BARs it has placed."""

    def __init__(self, **settings: Any) -> None:
        self.memory = GuestMemory()
        self.rig = PciRig(memory=self.memory.space)
        self.device = self.make(**settings)
        for index, address in ((0, PORTS), (1, TABLE), (4, MODERN)):
            self.rig.write(DEVFN, r.BAR0 + 4 * index, 4, address & 0xFFFFFFFF)
        self.rig.write(DEVFN, r.BAR0 + 20, 4, MODERN >> 32)
        self.rig.command(DEVFN, ON)

    def make(self, **settings: Any) -> EchoPci:
        device = EchoPci("echo", {"addr": "5", **settings})
        self.rig.bus.plug(device, self.rig.environment)
        return device

    def capabilities(self) -> dict[int, tuple[int, bytes]]:
        """Vendor-specific capabilities by their kind: offset and content."""
        found = {}
        at = self.rig.read(DEVFN, r.CAPABILITY_LIST, 1)
        while at:
            content = bytes(self.rig.read(DEVFN, at + index, 1) for index in range(20))
            if content[0] == v.CAP_VENDOR:
                found[content[3]] = at, content[: content[2]]
            at = content[1]
        return found

    def get(self, offset: int, size: int) -> int:
        return self.memory.space.read(MODERN + offset, size)

    def put(self, offset: int, size: int, value: int) -> None:
        self.memory.space.write(MODERN + offset, size, value)

    def enable_msix(self) -> None:
        """Give each vector a message of its own."""
        for vector in range(3):
            entry = struct.pack("<QII", 0xFEE00000, 0x40 + vector, 0)
            for at in range(0, 16, 4):
                value = int.from_bytes(entry[at : at + 4], "little")
                self.memory.space.write(TABLE + 16 * vector + at, 4, value)
        at = self.rig.read(DEVFN, r.CAPABILITY_LIST, 1)
        while self.rig.read(DEVFN, at, 1) != r.CAP_MSIX:
            at = self.rig.read(DEVFN, at + 1, 1)
        self.rig.write(DEVFN, at + 2, 2, 0x8000)

    def start_modern(self, queue: int = 0) -> SplitDriver:
        """Do what a driver does up to DRIVER_OK."""
        for status in (0, 1, 3):
            self.put(0x14, 1, status)
        features = sum(self._feature_word(select) << 32 * select for select in (0, 1))
        for select in (0, 1):
            self.put(0x08, 4, select)
            self.put(0x0C, 4, features >> 32 * select & 0xFFFFFFFF)
        self.put(0x14, 1, 11)
        assert self.get(0x14, 1) == 11
        driver = SplitDriver(self.memory, 8, event_index=True)
        self.put(0x10, 2, CONFIG_VECTOR)
        self.put(0x16, 2, queue)
        self.put(0x1A, 2, QUEUE_VECTOR)
        for register, address in ((0x20, driver.descriptors), (0x28, driver.driver), (0x30, driver.device)):
            self.put(register, 4, address)
            self.put(register + 4, 4, 0)
        self.put(0x1C, 2, 1)
        self.put(0x14, 1, 15)
        return driver

    def _feature_word(self, select: int) -> int:
        self.put(0x00, 4, select)
        return self.get(0x04, 4)

    def echo(self, driver: SplitDriver, kick: Any) -> bytes:
        """Send a word through the queue."""
        buffers = chain(self.memory, [b"word"], [4])
        driver.add(buffers)
        kick()
        self.device.core.answer()
        assert [done for done, _ in driver.collect()] == [buffers]
        return buffers.answer(self.memory)


def test_the_capabilities_lead_to_the_structures() -> None:
    guest = Guest()
    found = guest.capabilities()
    assert set(found) == {v.CAP_COMMON, v.CAP_NOTIFY, v.CAP_ISR, v.CAP_DEVICE, v.CAP_PCI}
    for kind, offset in ((v.CAP_COMMON, 0), (v.CAP_ISR, 0x1000), (v.CAP_DEVICE, 0x2000), (v.CAP_NOTIFY, 0x3000)):
        content = found[kind][1]
        assert (content[4], struct.unpack_from("<I", content, 8)[0]) == (4, offset)
    assert struct.unpack_from("<I", found[v.CAP_NOTIFY][1], 16) == (4,)


def test_a_modern_driver_talks_to_the_device() -> None:
    guest = Guest()
    driver = guest.start_modern()
    assert guest.echo(driver, lambda: guest.put(0x3000, 2, 0)) == b"drow"
    assert guest.rig.pins.asserted == {(5, 0)}
    assert guest.get(0x1000, 1) == v.ISR_QUEUE
    assert guest.rig.pins.asserted == set()
    assert guest.get(0x1000, 1) == 0


def test_interrupts_are_messages_once_msix_is_on() -> None:
    guest = Guest()
    guest.enable_msix()
    driver = guest.start_modern(queue=1)
    buffers = chain(guest.memory, [b"word"], [4])
    driver.add(buffers)
    guest.put(0x3004, 2, 1)
    guest.device.core.answer()
    assert guest.rig.messages == [(0xFEE00000, 0x40 + QUEUE_VECTOR)]
    guest.device.core.announce_config()
    assert guest.rig.messages[1:] == [(0xFEE00000, 0x40 + CONFIG_VECTOR)]
    assert guest.rig.pins.asserted == set()


def test_the_configuration_and_its_generation() -> None:
    guest = Guest()
    assert guest.get(0x2000, 4).to_bytes(4, "little") == b"conf"
    guest.put(0x2000, 1, ord("C"))
    assert guest.get(0x2000, 1) == ord("C")
    before = guest.get(0x15, 1)
    guest.device.core.announce_config()
    assert guest.get(0x15, 1) == before + 1


def test_vectors_that_there_are_not_are_refused() -> None:
    guest = Guest(vectors=2)
    guest.put(0x10, 2, 2)
    assert guest.get(0x10, 2) == 0xFFFF
    guest.put(0x1A, 2, 1)
    assert guest.get(0x1A, 2) == 1


def test_a_queue_that_there_is_not_has_no_size() -> None:
    guest = Guest()
    guest.put(0x16, 2, 2)
    assert [guest.get(offset, 2) for offset in (0x18, 0x1A, 0x1C, 0x1E)] == [0, 0xFFFF, 0, 0]
    guest.put(0x18, 2, 4)
    guest.put(0x1C, 2, 1)
    guest.put(0x3000 + 4 * 2, 2, 2)


def test_features_that_are_not_offered_are_not_taken() -> None:
    guest = Guest(event_idx=False)
    for status in (1, 3):
        guest.put(0x14, 1, status)
    for select in (0, 1):
        guest.put(0x08, 4, select)
        guest.put(0x0C, 4, 0xFFFFFFFF)
    assert guest.device.core.features & ~guest.device.core.offered == 0
    assert not guest.device.core.features & 1 << 29


def test_a_driver_without_version_1_is_refused_by_the_modern_interface() -> None:
    guest = Guest()
    for status in (1, 3, 11):
        guest.put(0x14, 1, status)
    assert guest.get(0x14, 1) == 3


def test_the_window_in_configuration_space_reaches_the_structures() -> None:
    guest = Guest()
    at = guest.capabilities()[v.CAP_PCI][0]
    guest.rig.write(DEVFN, at + 4, 1, 4)
    guest.rig.write(DEVFN, at + 8, 4, 0x2000)
    guest.rig.write(DEVFN, at + 12, 4, 4)
    assert guest.rig.read(DEVFN, at + 16, 4).to_bytes(4, "little") == b"conf"
    guest.rig.write(DEVFN, at + 16, 4, int.from_bytes(b"CONF", "little"))
    assert bytes(guest.device.core.settings[:4]) == b"CONF"
    for offset, length in ((0x4000, 4), (0x2001, 2), (0x2000, 3), (0xFFFFFFFF, 4)):
        guest.rig.write(DEVFN, at + 8, 4, offset)
        guest.rig.write(DEVFN, at + 12, 4, length)
        assert guest.rig.read(DEVFN, at + 16, 4) == 0


def start_legacy(guest: Guest) -> SplitDriver:
    """What a driver of the legacy interface does. Its queue has one layout only."""
    ports = guest.rig.ports
    for status in (0, 1, 3):
        ports.write(PORTS + 0x12, 1, status)
    ports.write(PORTS + 0x04, 4, 1 << 28)
    ports.write(PORTS + 0x0E, 2, 0)
    size = ports.read(PORTS + 0x0C, 2)
    start = guest.memory.allocate(4 * 4096, 4096)
    driver = SplitDriver(guest.memory, size)
    driver.descriptors, driver.driver, driver.device = start, start + 16 * size, start + 4096
    ports.write(PORTS + 0x08, 4, start // 4096)
    ports.write(PORTS + 0x12, 1, 7)
    return driver


def test_a_legacy_driver_talks_to_the_device() -> None:
    guest = Guest()
    ports = guest.rig.ports
    driver = start_legacy(guest)
    assert ports.read(PORTS + 0x08, 4) == driver.descriptors // 4096
    assert guest.echo(driver, lambda: ports.write(PORTS + 0x10, 2, 0)) == b"drow"
    assert guest.rig.pins.asserted == {(5, 0)}
    assert ports.read(PORTS + 0x13, 1) == v.ISR_QUEUE
    assert guest.rig.pins.asserted == set()
    assert ports.read(PORTS + 0x14, 4).to_bytes(4, "little") == b"conf"
    guest.enable_msix()
    assert ports.read(PORTS + 0x18, 4).to_bytes(4, "little") == b"conf"


def test_a_legacy_driver_takes_its_queue_back() -> None:
    guest = Guest()
    start_legacy(guest)
    guest.rig.ports.write(PORTS + 0x08, 4, 0)
    assert guest.rig.ports.read(PORTS + 0x12, 1) == 0


@pytest.mark.parametrize(
    ("settings", "identity"),
    [
        ({}, (0x103F, 0, 42)),
        ({"disable-modern": True}, (0x103F, 0, 42)),
        ({"disable-legacy": "on"}, (0x1040 + 42, 1, 0x1100)),
    ],
)
def test_identities(settings: dict[str, Any], identity: tuple[int, int, int]) -> None:
    guest = Guest(**settings)
    read = guest.rig.read
    assert (read(DEVFN, 2, 2), read(DEVFN, 8, 1), read(DEVFN, 0x2E, 2)) == identity
    assert bool(guest.capabilities()) != ("disable-modern" in settings)


@pytest.mark.parametrize(
    "settings", [{"iommu_platform": True}, {"disable-modern": True, "disable-legacy": "on"}, {"vectors": 5000}]
)
def test_what_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(GenericError):
        Guest(**settings)


def test_a_loaded_device_goes_on() -> None:
    guest = Guest()
    guest.enable_msix()
    driver = guest.start_modern()
    guest.echo(driver, lambda: guest.put(0x3000, 2, 0))
    saved = {name: encode(part.save()) for name, part in guest.device.parts().items()}
    guest.rig.bus.unplug(guest.device)
    guest.device = guest.make()
    for name, part in guest.device.parts().items():
        part.load(decode(part.state_type, saved[name]))
    guest.rig.messages.clear()
    assert guest.echo(driver, lambda: guest.put(0x3000, 2, 0)) == b"drow"
    assert guest.rig.messages == [(0xFEE00000, 0x40 + QUEUE_VECTOR)]

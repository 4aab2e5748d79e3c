"""The power management function on a PC's root bus, and hot-plug as a guest sees it in the registers at AE00h."""

from __future__ import annotations

import pytest
from tests.support.bus import Bus

from varan.board.pc import Pc, PcConfig
from varan.core.state import encode
from varan.devices.pci.bridge import PciBridge
from varan.devices.pluggable import PluggableDevice
from varan.errors import VaranError

MIB = 1 << 20
CONFIG_ADDRESS, CONFIG_DATA = 0xCF8, 0xCFC
FUNCTION = 0x80000B00
UP, DOWN, EJECT, REMOVABLE, SELECT = 0xAE00, 0xAE04, 0xAE08, 0xAE0C, 0xAE10
GPE_STATUS = 0xAFE0
HOTPLUG_EVENT = 2


class Rig(Bus):
    def __init__(self, *globals: tuple[str, str, str], acpi: bool = True) -> None:
        super().__init__()
        self.let_go: list[PluggableDevice] = []
        config = PcConfig(memory=MIB, globals=globals, acpi=acpi)
        self.pc = Pc(config, self.environment(ejected=self.let_go.append))

    def configure(self, register: int, value: int, size: int = 4) -> None:
        self.ports.write(CONFIG_ADDRESS, 4, FUNCTION | register & ~3)
        self.ports.write(CONFIG_DATA + (register & 3), size, value)

    def configured(self, register: int) -> int:
        self.ports.write(CONFIG_ADDRESS, 4, FUNCTION | register)
        return self.ports.read(CONFIG_DATA, 4)

    def plug(self, addr: str) -> PciBridge:
        device = PciBridge(settings={"addr": addr})
        self.pc.pci.plug(device, self.pc.environment)
        assert self.pc.pci.hotplug is not None
        self.pc.pci.hotplug.plugged(device)
        return device

    def get(self, port: int) -> int:
        return self.ports.read(port, 4)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_the_registers_are_decoded_where_pmbase_says_when_pmregmisc_says_so(rig: Rig) -> None:
    assert rig.configured(0) == 0x71138086
    assert rig.configured(0x40) == 1
    rig.configure(0x40, 0xFFFFFFFF)
    assert rig.configured(0x40) == 0xFFC1
    rig.configure(0x40, 0xB000)
    assert rig.get(0xB008) == 0xFFFFFFFF
    rig.configure(0x80, 1, 1)
    rig.run(1_000_000_000)
    assert rig.get(0xB008) == 3_579_545
    assert rig.get(0xB00C) == 0
    rig.configure(0x40, 0x600)
    assert (rig.get(0x608), rig.get(0xB008)) == (3_579_545, 0xFFFFFFFF)
    rig.configure(0x80, 0, 1)
    assert rig.get(0x608) == 0xFFFFFFFF


def test_registers_moved_onto_another_device_leave_it_in_its_place(rig: Rig) -> None:
    rig.configure(0x40, 0x3C0)
    rig.configure(0x80, 1, 1)
    assert rig.inb(0x3FD) == 0x60
    rig.configure(0x40, 0xAE00)
    assert rig.get(DOWN) == 0


def test_firmware_puts_them_at_600h_and_a_reset_takes_them_away(rig: Rig) -> None:
    rig.pc.act_as_firmware()
    assert rig.configured(0x40) == 0x601
    assert rig.configured(0x3C) & 0xFFFF == 0x0109
    assert rig.ports.read(0x600, 2) == 0
    rig.pc.reset()
    assert rig.ports.read(0x600, 2) == 0xFFFF


def test_a_loaded_function_decodes_what_the_saved_one_did(rig: Rig) -> None:
    rig.configure(0x40, 0x700)
    rig.configure(0x80, 1, 1)
    other = Rig()
    other.pc.load(rig.pc.save())
    assert other.get(0x704) == 0


def test_sleep_states_can_be_switched_off() -> None:
    tables = {table.name: table for table in Rig(("PIIX4_PM", "disable_s3", "1")).pc.acpi_tables()}
    assert b"_S3_" not in tables["DSDT"].data and b"_S4_" in tables["DSDT"].data
    assert not Rig(("PIIX4_PM", "disable_s3", "1")).pc.can_sleep
    tables = {table.name: table for table in Rig(("PIIX4_PM", "disable_s4", "1")).pc.acpi_tables()}
    assert b"_S3_" in tables["DSDT"].data and b"_S4_" not in tables["DSDT"].data
    with pytest.raises(VaranError, match="disable_s3"):
        Rig(("PIIX4_PM", "disable_s3", "very"))


def test_without_acpi_there_is_no_such_function_and_no_hot_plug() -> None:
    rig = Rig(acpi=False)
    assert rig.configured(0) == 0xFFFFFFFF
    assert rig.pc.pci.hotplug is None
    assert rig.pc.acpi_tables() == ()
    rig = Rig(("PIIX4_PM", "acpi-root-pci-hotplug", "off"))
    assert rig.pc.pci.hotplug is None
    assert all(b"_EJ0" not in table.data for table in rig.pc.acpi_tables())


def test_a_device_that_comes_is_shown_once_and_raises_the_event(rig: Rig) -> None:
    rig.plug("5")
    assert rig.ports.read(GPE_STATUS, 2) == HOTPLUG_EVENT
    assert rig.get(UP) == 1 << 5
    assert rig.get(UP) == 0


def test_a_device_that_is_to_go_is_shown_until_the_guest_lets_go_of_it(rig: Rig) -> None:
    device = rig.plug("5")
    rig.ports.write(GPE_STATUS, 2, HOTPLUG_EVENT)
    assert rig.pc.pci.hotplug is not None
    assert rig.pc.pci.hotplug.request_unplug(device) is False
    assert rig.ports.read(GPE_STATUS, 2) == HOTPLUG_EVENT
    assert rig.get(DOWN) == rig.get(DOWN) == 1 << 5
    rig.ports.write(EJECT, 4, 1 << 5)
    assert rig.get(DOWN) == 0
    assert rig.let_go == [device]


def test_a_reset_takes_out_what_the_guest_was_asked_for(rig: Rig) -> None:
    device = rig.plug("5")
    assert rig.pc.pci.hotplug is not None
    rig.pc.pci.hotplug.request_unplug(device)
    rig.pc.reset()
    assert rig.let_go == [device]
    assert rig.get(DOWN) == rig.get(UP) == 0


def test_the_boards_own_devices_cannot_be_taken_out(rig: Rig) -> None:
    device = rig.plug("1f")
    assert rig.get(REMOVABLE) == 0xFFFFFFFC
    rig.ports.write(EJECT, 4, 0xFFFFFFFF)
    assert rig.let_go == [device]


def test_buses_other_than_the_root_bus_have_no_slots(rig: Rig) -> None:
    rig.plug("5")
    rig.ports.write(SELECT, 4, 1)
    assert (rig.get(SELECT), rig.get(UP), rig.get(REMOVABLE)) == (1, 0, 0)
    rig.ports.write(EJECT, 4, 1 << 5)
    assert rig.let_go == []
    rig.ports.write(SELECT, 4, 0)
    assert rig.get(UP) == 1 << 5


def test_registers_are_read_by_bytes_too(rig: Rig) -> None:
    rig.plug("1e")
    assert rig.inb(UP + 3) == 0x40
    assert encode(rig.pc.devices["acpi-pci-hotplug"].state)["state"]["up"] == 0

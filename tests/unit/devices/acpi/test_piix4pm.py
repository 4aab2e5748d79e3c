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

    def add(self, addr: str, bridge: PciBridge | None = None) -> PciBridge:
        """A further bridge, on the root bus or behind another one, as it comes before the guest starts."""
        device = PciBridge(settings={"addr": addr})
        bus = bridge.function.secondary if bridge is not None else self.pc.pci
        bus.plug(device, self.pc.environment)
        self.pc.plugged[f"bridge {bus.rank} {addr}"] = device
        return device

    def plug(self, addr: str, bridge: PciBridge | None = None) -> PciBridge:
        """The same while it runs."""
        device = self.add(addr, bridge)
        assert device.bus is not None and device.bus.hotplug is not None
        device.bus.hotplug.plugged(device)
        return device

    def ask_for(self, device: PciBridge) -> None:
        assert device.bus is not None and device.bus.hotplug is not None
        assert device.bus.hotplug.request_unplug(device) is False

    def dsdt(self) -> bytes:
        return next(table.data for table in self.pc.acpi_tables() if table.name == "DSDT")

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
    rig = Rig(("PIIX4_PM", "acpi-root-pci-hotplug", "off"), ("PIIX4_PM", "acpi-pci-hotplug-with-bridge-support", "off"))
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


def test_a_bus_without_a_number_has_no_slots(rig: Rig) -> None:
    rig.plug("5")
    rig.ports.write(SELECT, 4, 1)
    assert (rig.get(SELECT), rig.get(UP), rig.get(REMOVABLE)) == (1, 0, 0)
    rig.ports.write(EJECT, 4, 1 << 5)
    assert rig.let_go == []
    rig.ports.write(SELECT, 4, 0)
    assert rig.get(UP) == 1 << 5


def test_buses_behind_bridges_are_numbered_when_the_guest_starts(rig: Rig) -> None:
    first, second = rig.add("5"), rig.add("7")
    inner = rig.add("3", first)
    buses = [bridge.function.secondary for bridge in (first, inner, second)]
    assert [bus.hotplug for bus in buses] == [None] * 3
    rig.pc.reset()
    assert rig.pc.pm is not None and rig.pc.pm.hotplug is not None
    assert [rig.pc.pm.hotplug.number(bus) for bus in (rig.pc.pci, *buses)] == [0, 1, 2, 3]
    assert all(bus.hotplug is rig.pc.pm.hotplug for bus in buses)
    assert all(f"S{devfn:02X}_".encode() in rig.dsdt() for devfn in (0x00, 0x18, 0x28))


def test_a_slot_behind_a_bridge_is_filled_and_emptied(rig: Rig) -> None:
    bridge = rig.add("5")
    rig.pc.reset()
    device = rig.plug("0", bridge)
    assert rig.get(UP) == 0
    rig.ports.write(SELECT, 4, 1)
    assert (rig.get(UP), rig.get(REMOVABLE)) == (1, 0xFFFFFFFF)
    rig.ask_for(device)
    assert rig.get(DOWN) == 1
    rig.ports.write(EJECT, 4, 1)
    assert rig.let_go == [device]
    assert rig.get(DOWN) == 0


def test_a_bridge_that_comes_later_gets_its_number_at_the_next_start(rig: Rig) -> None:
    bridge = rig.plug("5")
    secondary = bridge.function.secondary
    assert secondary.hotplug is None
    rig.pc.reset()
    assert secondary.hotplug is not None


def test_numbers_go_with_the_saved_machine(rig: Rig) -> None:
    bridge = rig.add("6")
    rig.pc.reset()
    rig.plug("5")
    device = rig.plug("4", bridge)
    rig.ask_for(device)
    other = Rig()
    places = {"5": other.add("5"), "6": other.add("6")}
    other.add("4", places["6"])
    other.pc.reset()
    other.pc.load(rig.pc.save())
    other.ports.write(SELECT, 4, 1)
    assert other.get(DOWN) == 1 << 4
    assert places["5"].function.secondary.hotplug is None


def test_a_bridge_that_has_gone_takes_its_slots_with_it(rig: Rig) -> None:
    bridge = rig.add("5")
    rig.pc.reset()
    rig.pc.pci.unplug(bridge)
    rig.ports.write(SELECT, 4, 1)
    assert rig.get(REMOVABLE) == 0xFFFFFFFF
    rig.ports.write(EJECT, 4, 0xFFFFFFFF)
    assert rig.let_go == []


def test_hot_plug_can_be_switched_off_behind_bridges_or_on_the_root_bus() -> None:
    for setting, root, behind in (
        ("acpi-pci-hotplug-with-bridge-support", 0, None),
        ("acpi-root-pci-hotplug", None, 0),
    ):
        rig = Rig(("PIIX4_PM", setting, "off"))
        bridge = rig.add("5")
        rig.pc.reset()
        assert rig.pc.pm is not None and rig.pc.pm.hotplug is not None
        assert rig.pc.pm.hotplug.number(rig.pc.pci) == root
        assert rig.pc.pm.hotplug.number(bridge.function.secondary) == behind
        assert (rig.pc.pci.hotplug is None) == (root is None)


def test_registers_are_read_by_bytes_too(rig: Rig) -> None:
    rig.plug("1e")
    assert rig.inb(UP + 3) == 0x40
    assert encode(rig.pc.devices["acpi-pci-hotplug"].state)["state"]["buses"][0]["up"] == 0

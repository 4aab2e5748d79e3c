"""PCI devices as users ask for them: addresses, slots with several functions, expansion ROMs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.pci import PciRig, io_bar, sample

from varan.devices.environment import Environment
from varan.devices.pci import registers as r
from varan.devices.pci.address import parse
from varan.devices.pci.bridge import PciBridge
from varan.devices.pci.bus import PciBus
from varan.devices.pci.device import PciDevice
from varan.devices.pci.function import PciFunction
from varan.errors import GenericError, VaranError


class Sample(PciDevice):
    type_name = "sample"
    abstract = False

    def make_function(self, environment: Environment) -> PciFunction:
        return sample(name=self.type_name)


@pytest.fixture
def rig() -> PciRig:
    return PciRig()


def plug(rig: PciRig, addr: str = "", multifunction: bool = False, bus: PciBus | None = None) -> Sample:
    place = {"addr": addr} if addr else {}
    device = Sample(settings={**place, "multifunction": multifunction})
    (bus or rig.bus).plug(device, rig.environment)
    return device


@pytest.mark.parametrize(
    ("text", "devfn"),
    [("3", 24), ("03.0", 24), ("0x3.1", 25), ("1f.7", 255), ("0X10", 128), ("0x1.0x2", 10), ("a", 80)],
)
def test_addresses_are_a_slot_and_perhaps_a_function(text: str, devfn: int) -> None:
    assert parse(text) == devfn


@pytest.mark.parametrize("text", ["", "20", "3.8", "x", "3.", ".1", "-1", "3.0.0", "100", "３"])
def test_other_words_are_no_address(rig: PciRig, text: str) -> None:
    assert parse(text) is None
    if text:
        with pytest.raises(VaranError, match="doesn't take value"):
            plug(rig, text)


def test_device_goes_to_its_address_and_tells_it(rig: PciRig) -> None:
    device = plug(rig, "0x4")
    assert rig.read(4 << 3, r.VENDOR_ID, 2) == 0x1AF4
    assert (device.get("addr"), device.get("legacy-addr")) == (0x20, "04.0")
    assert device.function.device is device


def test_device_without_an_address_takes_the_first_free_slot(rig: PciRig) -> None:
    plug(rig, "0")
    plug(rig, "2")
    assert [plug(rig).get("legacy-addr") for _ in range(2)] == ["01.0", "03.0"]


def test_full_bus_takes_no_more(rig: PciRig) -> None:
    for _ in range(32):
        assert not rig.bus.full
        plug(rig)
    assert rig.bus.full
    with pytest.raises(GenericError, match="no slot/function available for sample, all in use or reserved"):
        plug(rig)


def test_place_is_taken_once(rig: PciRig) -> None:
    plug(rig, "3")
    with pytest.raises(GenericError) as refused:
        plug(rig, "3.0")
    assert str(refused.value) == "PCI: slot 3 function 0 not available for sample, in use by sample,id=(null)"
    assert len(rig.bus.devices) == 1


def test_further_functions_need_a_first_one_that_tells_of_them(rig: PciRig) -> None:
    plug(rig, "3", multifunction=True)
    plug(rig, "3.5")
    assert rig.read(3 << 3, r.HEADER_TYPE, 1) == r.MULTIFUNCTION
    plug(rig, "4")
    with pytest.raises(GenericError, match=r"single function device can't be populated in function 4\.1"):
        plug(rig, "4.1")
    plug(rig, "5.1", multifunction=True)
    with pytest.raises(GenericError, match=r"5\.0 indicates single function, but 5\.1 is already populated"):
        plug(rig, "5")


def test_unplugged_device_frees_its_slot(rig: PciRig) -> None:
    device = plug(rig, "3")
    rig.bus.unplug(device)
    assert rig.read(3 << 3, r.VENDOR_ID, 2) == 0xFFFF
    plug(rig, "3")


async def test_bridge_tells_firmware_what_to_keep_for_later(rig: PciRig) -> None:
    reserves = {"mem-reserve": "8M", "io-reserve": "8K", "bus-reserve": "2", "pref64-reserve": "4G"}
    bridge = PciBridge("br", {"addr": "2", **reserves})
    await bridge.acquire(rig.environment)
    rig.bus.plug(bridge, rig.environment)
    at = rig.read(2 << 3, r.CAPABILITY_LIST, 1)
    capability = bytes(rig.read(2 << 3, at + offset, 1) for offset in range(32))
    assert capability[0] == r.CAP_VENDOR
    assert capability[2:].hex() == "200102000000002000000000000000008000ffffffff0000000001000000"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"mem-reserve": "4G"}, "PCI resource reserve cap: mem-reserve must be less than 4G"),
        ({"pref32-reserve": "1M", "pref64-reserve": "1M"}, "PCI resource reserve cap: PREF32 and PREF64 conflict"),
        ({"shpc": "on"}, "there is no hot-plug controller in the bridge"),
        ({"msi": "on"}, "there is no hot-plug controller in the bridge"),
    ],
)
async def test_bridge_that_cannot_be_is_refused(rig: PciRig, settings: dict[str, str], problem: str) -> None:
    with pytest.raises(VaranError, match=problem):
        await PciBridge("br", settings).acquire(rig.environment)


def test_bridge_has_a_bus_below_it_whose_slots_start_at_0(rig: PciRig) -> None:
    named, other = PciBridge("br", {"addr": "5", "chassis_nr": 2}), PciBridge()
    for bridge in (named, other):
        rig.bus.plug(bridge, rig.environment)
    assert list(named.children) == ["br"]
    assert list(other.children) == ["pci.2"]
    slot_numbers = rig.read(5 << 3, rig.read(5 << 3, r.CAPABILITY_LIST, 1), 4)
    assert slot_numbers & 0xFFFF00FF == 0x02000004
    reserve = slot_numbers >> 8 & 0xFF
    told = [rig.read(5 << 3, reserve + offset, 4) for offset in (4, 8, 16)]
    assert told == [0xFFFFFFFF, 4096, 2 << 20]
    assert plug(rig, bus=named.function.secondary).get("legacy-addr") == "00.0"


async def test_rom_file_is_shown_as_the_expansion_rom(rig: PciRig, tmp_path: Path) -> None:
    path = tmp_path / "rom"
    path.write_bytes(b"\x55\xaa\x01" + bytes(5000))
    device = Sample(settings={"romfile": str(path)})
    await device.acquire(rig.environment)
    rig.bus.plug(device, rig.environment)
    rig.write(0, r.ROM_BASE, 4, 0xE0000001)
    rig.command(0, r.COMMAND_MEMORY)
    assert rig.memory.read(0xE0000000, 2) == 0xAA55
    assert device.function.layout.bars[r.ROM_INDEX].size == 8192


async def test_rombar_0_hides_the_rom(rig: PciRig) -> None:
    device = Sample(settings={"romfile": "/nonexistent", "rombar": 0})
    await device.acquire(rig.environment)
    rig.bus.plug(device, rig.environment)
    assert not device.function.layout.bars


async def test_rom_file_that_cannot_be_read_is_an_error(rig: PciRig, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for path, why in ((tmp_path / "no", "No such file"), (tmp_path / "empty", "has 1 byte to 16 MiB")):
        with pytest.raises(GenericError, match=why):
            await Sample(settings={"romfile": str(path)}).acquire(rig.environment)


def test_details_are_what_the_device_tree_shows_of_a_function(rig: PciRig) -> None:
    device = plug(rig, "4")
    ports, _ = io_bar()
    device.function.add_bar(4, ports)
    shown = "class Memory controller, addr 00:04.0, pci id 1af4:10f0 (sub 1af4:1100)"
    assert device.details() == [shown, "bar 4: i/o at 0xffffffffffffffff [0x1e]"]
    rig.write(4 << 3, r.BAR0 + 16, 4, 0xC000)
    rig.command(4 << 3, r.COMMAND_IO)
    assert device.details() == [shown, "bar 4: i/o at 0xc000 [0xc01f]"]

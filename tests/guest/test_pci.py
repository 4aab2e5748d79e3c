"""Linux and SeaBIOS find on the PCI buses what query-pci says is there, and reach it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.initrd import make_initrd
from tests.support.kernel import need_busybox, need_kernel
from tests.support.need import need
from tests.support.pci import Registers, sample

from varan.chardev.base import Chardev
from varan.devices import registry
from varan.devices.environment import Environment
from varan.devices.pci.bar import Bar
from varan.devices.pci.device import PciDevice
from varan.devices.pci.function import PciFunction
from varan.embed.console import Console
from varan.embed.local import LocalClient
from varan.machine.machine import Machine
from varan.machine.spec import BootSpec, DeviceSpec, MachineSpec

DEVICES = (
    DeviceSpec("probe", "near", settings={"addr": "4"}),
    DeviceSpec("pci-bridge", "outer", settings={"addr": "5"}),
    DeviceSpec("pci-bridge", "inner", "outer", {"addr": "3"}),
    DeviceSpec("probe", "far", "inner", {"addr": "2"}),
    DeviceSpec("pci-bridge", "empty", settings={"addr": "6"}),
)
PATIENCE = 120.0
"""Seconds for booting on a busy host."""
SCRIPT = """
echo THE-START
for d in /sys/bus/pci/devices/*; do
    echo function $(basename $d) $(cat $d/class $d/vendor $d/device $d/irq)
    cat $d/resource
done
far=$(awk 'NR == 2 { print $1 }' /sys/bus/pci/devices/0000:02:02.0/resource)
echo 1 > /sys/bus/pci/devices/0000:02:02.0/enable
devmem $far 32 0x600DCAFE
echo read $(devmem $((far + 4)) 8)
echo THE-END
read line
"""


class Probe(PciDevice):
    """A device with a BAR of each kind."""

    type_name = "probe"
    abstract = False
    memory: Registers

    def make_function(self, environment: Environment) -> PciFunction:
        self.memory = Registers(4096)
        self.memory.content[4] = 0x77
        ports, wide = Registers(64), Registers(1 << 14)
        return sample(
            (0, Bar("io", 64, ports.read, ports.write)),
            (1, Bar("mem32", 4096, self.memory.read, self.memory.write)),
            (4, Bar("mem64", 1 << 14, wide.read, wide.write, prefetchable=True)),
            name="probe",
        )


IDE = 0x0101
"""Class of IDE controllers."""


class Guest:
    def __init__(self, machine: Machine, serial: Console) -> None:
        self.machine = machine
        self.serial = serial
        self.qmp = LocalClient(machine)

    async def output(self) -> str:
        """What the script prints."""
        match = await self.serial.expect(re.compile("THE-START(.*)THE-END", re.DOTALL), timeout=PATIENCE)
        return match[1].replace("\r", "")


@pytest.fixture(autouse=True)
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry.find
    monkeypatch.setattr(registry, "find", lambda name: Probe if name == "probe" else real(name))


@pytest.fixture(params=["", "acpi=off"])
async def guest(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Guest]:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(make_initrd(SCRIPT, need_busybox()))
    append = f"console=ttyS0 panic=-1 quiet no_timer_check {request.param}"
    boot = BootSpec(kernel=str(need_kernel()), initrd=str(initrd), append=append)
    serial = Console("serial0")
    chardevs: dict[str, Chardev] = {"serial0": serial}
    machine = Machine(MachineSpec(memory=256 << 20, boot=boot, serials=("serial0",), devices=DEVICES), chardevs)
    await machine.open()
    yield Guest(machine, serial)
    await machine.close()


@pytest.mark.linux
async def test_linux_finds_what_query_pci_lists_and_reaches_what_is_behind_two_bridges(guest: Guest) -> None:
    await guest.machine.start()
    text = await guest.output()
    (root,) = await guest.qmp.execute("query-pci")
    listed = {place(device): device for device in flat(root["devices"])}
    found = functions(text)
    assert found.keys() == listed.keys()
    assert {"0000:00:04.0", "0000:01:03.0", "0000:02:02.0"} <= found.keys()
    for name, (words, resources) in found.items():
        device = listed[name]
        kind, vendor, product, irq = (int(word, 0) for word in words)
        assert (kind >> 8, vendor, product) == (
            device["class_info"]["class"],
            device["id"]["vendor"],
            device["id"]["device"],
        )
        assert irq == device.get("irq", 0)
        bars = {region["bar"]: (region["address"], region["size"]) for region in device["regions"]}
        known = regions(resources)
        if kind >> 8 == IDE:
            # Linux adds the ports that the controller has had since before PCI.
            known = {number: place for number, place in known.items() if number > 3}
        assert known == bars
    far: Any = guest.machine.tree.peripheral.children["far"]
    assert far.memory.content[:4] == b"\xfe\xca\x0d\x60"
    assert "read 0x77" in text


async def test_seabios_sets_everything_up_and_looks_for_something_to_boot() -> None:
    firmware = Path("/usr/share/seabios/bios-256k.bin")
    need(firmware.exists(), f"{firmware} is not installed (Debian package seabios)")
    console = Console("debug")
    debug = DeviceSpec("isa-debugcon", settings={"iobase": 0x402, "chardev": "debug"})
    machine = Machine(
        MachineSpec(memory=256 << 20, boot=BootSpec(firmware=str(firmware)), devices=(*DEVICES, debug)),
        {"debug": console},
    )
    await machine.open()
    try:
        await machine.start()
        await console.expect("enter handle_19", timeout=PATIENCE)
        (root,) = await LocalClient(machine).execute("query-pci")
    finally:
        await machine.close()
    devices = flat(root["devices"])
    assert {"0000:00:04.0", "0000:01:03.0", "0000:02:02.0"} <= {place(device) for device in devices}
    regions = [region for device in devices for region in device["regions"]]
    assert len(regions) == 7
    assert all(region["address"] > 0 for region in regions)
    assert [device["irq"] for device in devices if device["qdev_id"] in ("near", "far")] == [11, 10]


def place(device: dict[str, Any]) -> str:
    """The device's name under /sys/bus/pci/devices."""
    return f"0000:{device['bus']:02x}:{device['slot']:02x}.{device['function']}"


def flat(devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The devices and those behind their bridges."""
    return [found for device in devices for found in [device, *flat(device.get("pci_bridge", {}).get("devices", []))]]


def functions(text: str) -> dict[str, tuple[list[str], list[str]]]:
    """What the script printed of each function: its identity, and its lines of resources."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for line in text.splitlines():
        match line.split():
            case ["function", name, *words]:
                found[name] = (words, [])
            case [first, _, _] if first.startswith("0x"):
                found[name][1].append(line)
    return found


def regions(resources: list[str]) -> dict[int, tuple[int, int]]:
    """Address and size of each BAR that Linux knows; bridge windows come after the seven BARs."""
    found = {}
    for index, line in enumerate(resources[:7]):
        first, last, flags = (int(word, 16) for word in line.split())
        if flags:
            found[index] = (first, last - first + 1)
    return found

"""query-pci and `info pci`: what configuration space says, in the shape that QEMU gives it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.pci import io_bar, memory_bar, sample

from varan.board.pc import Pc
from varan.devices.pci import registers as r
from varan.devices.pci.bar import Bar
from varan.devices.pci.function import PciFunction
from varan.embed.local import LocalClient
from varan.machine.machine import Machine
from varan.machine.spec import BootSpec, DeviceSpec, MachineSpec

BEHIND = 2 << 3
"""Where the sample sits on the bus behind the bridge."""


class Vm:
    """An open machine that does not run."""

    def __init__(self, machine: Machine) -> None:
        assert isinstance(machine.board, Pc)
        self.board = machine.board
        self.lock = machine.lock
        self.qmp = LocalClient(machine)


@pytest.fixture
async def vm() -> AsyncIterator[Vm]:
    bridge = DeviceSpec("pci-bridge", "br", settings={"addr": "5"})
    spec = MachineSpec(memory=16 << 20, boot=BootSpec(demo=True), devices=(bridge,), autostart=False)
    machine = Machine(spec)
    await machine.open()
    yield Vm(machine)
    await machine.close()


def add_sample(vm: Vm) -> None:
    """Put a function with all kinds of BARs behind the bridge."""
    ports, _ = io_bar()
    memory, _ = memory_bar(prefetchable=True)
    wide = Bar("mem64", 1 << 14, memory.read, memory.write)
    function = sample((0, ports), (1, memory), (4, wide), pin=1)
    bus = vm.board.pci.functions[5 << 3].secondary
    assert bus is not None
    with vm.lock:
        bus.attach(function, BEHIND)


def behind_the_bridge(vm: Vm) -> PciFunction:
    bus = vm.board.pci.find_bus(1)
    assert bus is not None
    return bus.functions[BEHIND]


async def listed(vm: Vm) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = await vm.qmp.execute("query-pci")
    assert [bus["bus"] for bus in answer] == [0]
    devices: list[dict[str, Any]] = answer[0]["devices"]
    return devices


async def test_pc_has_its_chipset(vm: Vm) -> None:
    host, isa = (await listed(vm))[:2]
    assert host == {
        "bus": 0,
        "slot": 0,
        "function": 0,
        "class_info": {"class": 0x0600, "desc": "Host bridge"},
        "id": {"vendor": 0x8086, "device": 0x1237, "subsystem-vendor": 0x1AF4, "subsystem": 0x1100},
        "irq_pin": 0,
        "qdev_id": "",
        "regions": [],
    }
    assert (isa["slot"], isa["function"], isa["class_info"]["desc"]) == (1, 0, "ISA bridge")
    assert isa["id"]["device"] == 0x7000


async def test_bridge_shows_its_buses_windows_and_what_is_behind(vm: Vm) -> None:
    add_sample(vm)
    await vm.qmp.execute("system_reset")
    bridge = (await listed(vm))[-1]
    assert bridge["qdev_id"] == "br"
    assert bridge["id"] == {"vendor": 0x1B36, "device": 1}
    bus = bridge["pci_bridge"]["bus"]
    assert (bus["number"], bus["secondary"], bus["subordinate"]) == (0, 1, 1)
    (behind,) = bridge["pci_bridge"]["devices"]
    assert (behind["bus"], behind["slot"], behind["function"]) == (1, 2, 0)
    assert (behind["irq"], behind["irq_pin"]) == (11, 1)
    ports, memory, wide = behind["regions"]
    assert ports == {"bar": 0, "type": "io", "address": bus["io_range"]["base"], "size": 32}
    assert (memory["prefetch"], memory["mem_type_64"]) == (True, False)
    assert (wide["bar"], wide["prefetch"], wide["mem_type_64"]) == (4, False, True)
    for region in (memory, wide):
        last = region["address"] + region["size"] - 1
        assert bus["memory_range"]["base"] <= region["address"] <= last <= bus["memory_range"]["limit"]


async def test_what_the_guest_changes_is_seen_at_once(vm: Vm) -> None:
    add_sample(vm)
    await vm.qmp.execute("system_reset")
    function = behind_the_bridge(vm)
    with vm.lock:
        function.write_config(r.COMMAND, 2, r.COMMAND_IO)
        function.write_config(r.BAR0, 4, 0xC400)
        function.write_config(r.INTERRUPT_LINE, 1, 5)
    (behind,) = (await listed(vm))[-1]["pci_bridge"]["devices"]
    assert [region["address"] for region in behind["regions"]] == [0xC400, -1, -1]
    assert behind["irq"] == 5


async def test_bus_without_a_number_hides_what_is_on_it(vm: Vm) -> None:
    add_sample(vm)
    with vm.lock:
        vm.board.pci.functions[5 << 3].write_config(r.SECONDARY_BUS, 1, 0)
    assert "devices" not in (await listed(vm))[-1]["pci_bridge"]


async def test_addresses_with_the_highest_bit_are_negative_numbers(vm: Vm) -> None:
    with vm.lock:
        bridge = vm.board.pci.functions[5 << 3]
        bridge.write_config(r.PREFETCHABLE_LIMIT_UPPER, 4, 0xFFFFFFFF)
        bridge.write_config(r.PREFETCHABLE_LIMIT, 2, 0xFFFF)
    ranges = (await listed(vm))[-1]["pci_bridge"]["bus"]
    assert ranges["prefetchable_range"]["limit"] == -1


async def test_info_pci_has_the_layout_that_scripts_read(vm: Vm) -> None:
    add_sample(vm)
    await vm.qmp.execute("system_reset")
    function = behind_the_bridge(vm)
    with vm.lock:
        function.write_config(r.COMMAND, 2, r.COMMAND_MEMORY)
    text: str = await vm.qmp.execute("human-monitor-command", {"command-line": "info pci"})
    text = text.replace("\r", "")
    assert text.startswith(CHIPSET_LINES)
    assert text.endswith(BRIDGE_LINES)


CHIPSET_LINES = """\
  Bus  0, device   0, function 0:
    Host bridge: PCI device 8086:1237
      PCI subsystem 1af4:1100
      id ""
  Bus  0, device   1, function 0:
    ISA bridge: PCI device 8086:7000
      PCI subsystem 1af4:1100
      id ""
"""
BRIDGE_LINES = """\
  Bus  0, device   5, function 0:
    PCI bridge: PCI device 1b36:0001
      BUS 0.
      secondary bus 1.
      subordinate bus 1.
      IO range [0xd000, 0xdfff]
      memory range [0x80000000, 0x801fffff]
      prefetchable memory range [0x00100000, 0x000fffff]
      id "br"
  Bus  1, device   2, function 0:
    Memory controller: PCI device 1af4:10f0
      PCI subsystem 1af4:1100
      IRQ 11, pin A
      BAR0: I/O at 0xffffffffffffffff [0x001e].
      BAR1: 32 bit prefetchable memory at 0x80004000 [0x80004fff].
      BAR4: 64 bit memory at 0x80000000 [0x80003fff].
      id ""
"""

"""Devices that come and go while a guest runs."""

from __future__ import annotations

import asyncio

import pytest
from tests.guest.conftest import PROMPT

from varan.api.events import DeviceDeleted, Reset
from varan.embed.vm import Machine
from varan.errors import DeviceNotFound, GenericError
from varan.machine.spec import BootSpec, DeviceSpec, MachineSpec


async def test_the_root_of_pci_is_where_management_tools_look_for_it(guest: Machine) -> None:
    assert await guest.qmp.qom_get("/machine/i440fx", "type") == "i440FX-pcihost"
    await guest.qmp.device_add({"driver": "virtio-rng-pci", "id": "r", "addr": "6.0"})
    assert await guest.qmp.qom_get("/machine/peripheral/r", "parent_bus") == "/machine/i440fx/pci.0"
    assert await guest.qmp.qom_get("/machine/peripheral/r", "addr") == 48
    assert "addr = 06.0" in await guest.qmp.human_monitor_command("info qtree")


async def test_devices_come_and_go_while_the_guest_runs(guest: Machine) -> None:
    guest.serial.send_line("mem 1")
    for number in range(1, 6):
        await guest.qmp.device_add({"driver": "pci-bridge", "id": f"b{number}", "chassis_nr": number})
    shown = [device.qdev_id for bus in await guest.qmp.query_pci() for device in bus.devices]
    assert {"b1", "b5"} <= set(shown)
    await guest.qmp.device_del("b3")
    with pytest.raises(GenericError, match="already in the process of unplug"):
        await guest.qmp.device_del("b3")
    await guest.serial.expect(PROMPT)


async def test_a_reset_ends_the_guests_say_in_an_unplug(guest: Machine) -> None:
    await guest.qmp.device_add({"driver": "pci-bridge", "id": "b", "chassis_nr": 1})
    await guest.qmp.device_del("b")
    async with guest.qmp.listen() as events:
        await guest.reset()
        seen: set[type] = set()
        async with asyncio.timeout(30):
            async for event in events:
                seen.add(type(event))
                if {DeviceDeleted, Reset} <= seen:
                    break
    with pytest.raises(DeviceNotFound):
        await guest.qmp.qom_list("/machine/peripheral/b")
    await guest.qmp.device_add({"driver": "pci-bridge", "id": "b", "chassis_nr": 1})
    await guest.serial.expect(PROMPT)


async def test_devices_of_the_command_line_are_there_before_the_guest_starts() -> None:
    spec = MachineSpec(
        memory=32 << 20,
        boot=BootSpec(demo=True),
        serials=("serial0",),
        devices=(DeviceSpec("isa-debugcon", "debug"),),
        globals=(("isa-debugcon", "iobase", "0x402"),),
    )
    async with Machine(spec=spec) as vm:
        assert await vm.qmp.qom_get("debug", "iobase") == 0x402
        await vm.start()
        await vm.serial.expect(PROMPT)

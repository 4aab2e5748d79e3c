"""ACPI power management with an unmodified kernel: it powers off, is asked to shut down, sleeps and wakes."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from tests.support.linux_guest import linux, until

from varan.api import events
from varan.api.values import RunState, ShutdownCause
from varan.errors import GenericError

pytestmark = pytest.mark.linux

READY = "GUEST-READY"
WAIT_FOR_BUTTON = f"""
button=$(grep -A5 'Name="Power Button"' /proc/bus/input/devices | grep -o 'event[0-9]*')
exec 3< /dev/input/$button
echo {READY}
head -c 24 <&3 > /dev/null
echo the power button
"""
SLEEP = f"""
md5sum /bin/busybox > /tmp/before
before=$(date +%s)
echo {READY}
read line
echo mem > /sys/power/state
echo AWAKE
md5sum /bin/busybox | cmp - /tmp/before && echo memory is intact
echo $(nproc) CPUs
[ $(($(date +%s) - before)) -lt 100 ] && echo the clock is right
sleep 0.1
read line
echo got $line
"""
HOTPLUG = f"""
place=/sys/bus/pci/devices/0000:00:05.0
echo {READY}
while [ ! -e $place ]; do usleep 50000; done
echo FOUND $(cat $place/vendor)
while [ -e $place ]; do usleep 50000; done
echo GONE
read line
echo 0 > /sys/bus/pci/slots/6/power
read line
"""


async def test_a_guest_that_powers_off_ends_its_machine(tmp_path: Path) -> None:
    async with linux(tmp_path, "poweroff -f") as (vm, listener):
        shutdown = await until(listener, events.Shutdown)
        assert shutdown == events.Shutdown(guest=True, reason=ShutdownCause.GUEST_SHUTDOWN)
        assert await vm.wait_closed() is ShutdownCause.GUEST_SHUTDOWN


async def test_a_guest_that_listens_to_the_power_button_shuts_down(tmp_path: Path) -> None:
    async with linux(tmp_path, WAIT_FOR_BUTTON, modules=["button", "evdev"]) as (vm, listener):
        await vm.serial.expect(READY, timeout=60)
        await vm.qmp.system_powerdown()
        await until(listener, events.Powerdown)
        await vm.serial.expect("the power button", timeout=60)
        assert await vm.wait_closed() is ShutdownCause.GUEST_SHUTDOWN


async def test_a_guest_that_does_not_listen_runs_on(tmp_path: Path) -> None:
    async with linux(tmp_path, f"echo {READY}; read line; echo got $line; read line") as (vm, _):
        await vm.serial.expect(READY, timeout=60)
        await vm.qmp.system_powerdown()
        vm.serial.send_line("on")
        await vm.serial.expect("got on", timeout=60)
        assert vm.status is RunState.RUNNING


@pytest.mark.parametrize("cpus", [1, 2])
async def test_a_guest_sleeps_and_wakes_with_its_memory_and_devices(tmp_path: Path, cpus: int) -> None:
    async with linux(tmp_path, SLEEP, cpus=cpus) as (vm, listener):
        await vm.serial.expect(READY, timeout=60)
        with pytest.raises(GenericError, match="not in suspended state"):
            await vm.qmp.system_wakeup()
        vm.serial.send_line("sleep")
        await until(listener, events.Suspend)
        assert (await vm.qmp.query_status()).status is RunState.SUSPENDED
        await vm.qmp.cont()
        assert vm.status is RunState.SUSPENDED
        await vm.qmp.system_wakeup()
        await until(listener, events.Wakeup)
        await vm.serial.expect("AWAKE", timeout=60)
        await vm.serial.expect("memory is intact", timeout=60)
        await vm.serial.expect(f"{cpus} CPUs", timeout=60)
        await vm.serial.expect("the clock is right", timeout=60)
        vm.serial.send_line("well")
        await vm.serial.expect("got well", timeout=60)


async def test_the_clocks_alarm_wakes_a_guest(tmp_path: Path) -> None:
    # Late enough for a guest on a busy host to be asleep by then.
    script = "echo +4 > /sys/class/rtc/rtc0/wakealarm; echo mem > /sys/power/state; echo AWAKE; read line"
    async with linux(tmp_path, script) as (vm, listener):
        await until(listener, events.Suspend)
        await until(listener, events.Wakeup)
        await vm.serial.expect("AWAKE", timeout=60)


async def test_input_at_a_serial_port_wakes_a_guest_where_that_is_wanted(tmp_path: Path) -> None:
    script = "echo mem > /sys/power/state; echo AWAKE; read line"
    line = tmp_path / "line"
    chardev = f"socket,id=c0,path={line},server=on,wait=off"
    port = "isa-serial,index=1,chardev=c0,wakeup=on"
    async with linux(tmp_path, script, chardevs=[chardev], devices=[port]) as (vm, listener):
        await until(listener, events.Suspend)
        _, writer = await asyncio.open_unix_connection(line)
        writer.write(b"x")
        await until(listener, events.Wakeup)
        await vm.serial.expect("AWAKE", timeout=60)
        writer.close()


async def test_without_acpi_a_guest_works_and_halts_at_the_end(tmp_path: Path) -> None:
    async with linux(tmp_path, f"echo {READY}; ls /sys/firmware", acpi=False) as (vm, _):
        output = await vm.serial.expect(re.compile(f"{READY}([^#]*)reboot: System halted"), timeout=60)
        assert "acpi" not in output[1]
        assert vm.status is RunState.RUNNING


async def test_a_guest_sees_devices_come_and_lets_them_go(tmp_path: Path) -> None:
    async with linux(tmp_path, HOTPLUG) as (vm, listener):
        await vm.serial.expect(READY, timeout=60)
        await vm.qmp.device_add({"driver": "pci-bridge", "id": "bridge", "addr": "5"})
        await vm.serial.expect("FOUND 0x1b36", timeout=60)
        await vm.qmp.device_add({"driver": "pci-bridge", "id": "other", "addr": "6"})
        await vm.qmp.device_del(id="bridge")
        deleted = await until(listener, events.DeviceDeleted)
        assert deleted == events.DeviceDeleted(device="bridge", path="/machine/peripheral/bridge")
        await vm.serial.expect("GONE", timeout=60)
        vm.serial.send_line("the guest's own wish")
        deleted = await until(listener, events.DeviceDeleted)
        assert deleted == events.DeviceDeleted(device="other", path="/machine/peripheral/other")


async def test_the_power_button_wakes_a_guest_that_listens_to_it(tmp_path: Path) -> None:
    script = "echo mem > /sys/power/state; echo AWAKE; read line"
    async with linux(tmp_path, script, modules=["button"]) as (vm, listener):
        await until(listener, events.Suspend)
        await vm.qmp.system_powerdown()
        await until(listener, events.Wakeup)
        await vm.serial.expect("AWAKE", timeout=60)

"""Virtio devices behind memory-mapped registers, with an unmodified kernel's drivers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.linux_guest import LISTEN, PATIENCE, linux, until

from varan.api import events

pytestmark = pytest.mark.linux

MODULES = ["virtio_mmio", "virtio_net", "virtio_rng", "virtio_balloon", "virtio_console", "virtio_input", "evdev"]
DEVICES = ["net", "rng", "balloon", "serial", "keyboard", "tablet"]
SCRIPT = f"""
for device in /sys/bus/virtio/devices/*; do echo $(basename $(readlink -f $device/..)) $(cat $device/device); done
echo BYTES $(head -c 100000 /dev/hwrng | wc -c)
cat /sys/class/net/eth0/address
while ! [ -e /dev/vport3p1 ]; do sleep 0.1; done
exec 3<>/dev/vport3p1
echo READY
{LISTEN}
echo "heard $line"
sleep 1000
"""


async def test_every_kind_of_device_works(tmp_path: Path) -> None:
    socket = tmp_path / "port"
    devices = ["virtio-mmio" for _ in DEVICES]
    devices += [f"virtio-{kind}-device,id={kind}" for kind in DEVICES]
    devices += ["virtserialport,chardev=c0,name=p"]
    chardev = f"socket,id=c0,path={socket},server=on,wait=off"
    async with linux(tmp_path, SCRIPT, MODULES, devices=devices, chardevs=[chardev]) as (vm, listener):
        await vm.serial.expect("READY", timeout=PATIENCE)
        _, writer = await asyncio.open_unix_connection(socket)
        writer.write(b"hello\n")
        await vm.serial.expect("heard hello", timeout=PATIENCE)
        seen = vm.serial.text.replace("\r", "")
        for number, kind in enumerate(("0x0001", "0x0004", "0x0005", "0x0003", "0x0012", "0x0012")):
            assert f"LNRO0005:{number:02x} {kind}\n" in seen
        assert "BYTES 100000\n" in seen
        assert "52:54:00:12:34:56\n" in seen
        await vm.qmp.balloon(200 << 20)
        while (await until(listener, events.BalloonChange)).actual != 200 << 20:
            pass
        writer.close()

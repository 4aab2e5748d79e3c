"""Cards that come and go behind bridges while an unmodified kernel runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.linux_guest import PATIENCE, linux, until

from varan.api import events
from varan.errors import GenericError

pytestmark = pytest.mark.linux

BRIDGES = ["pci-bridge,id=outer,addr=5,chassis_nr=1", "pci-bridge,id=inner,bus=outer,addr=3,chassis_nr=2"]
MODULES = ["virtio_pci", "virtio_rng", "virtio_net"]
WATCH = """
watch() {
    while ! [ -e /sys/bus/pci/devices/$1 ]; do usleep 50000; done
    echo CAME $1
}
echo READY
watch 0000:01:07.0
while ! grep -q virtio /sys/class/misc/hw_random/rng_available; do usleep 50000; done
echo BYTES $(head -c 5000 /dev/hwrng | wc -c)
watch 0000:02:00.0
while ! [ -e /sys/class/net/eth0/address ]; do usleep 50000; done
echo $(cat /sys/class/net/eth0/address)
while [ -e /sys/bus/pci/devices/0000:01:07.0 ]; do usleep 50000; done
echo GONE
while [ -e /sys/bus/pci/devices/0000:02:00.0 ]; do usleep 50000; done
echo ALL GONE
watch 0000:02:00.0
"""


@pytest.mark.parametrize("options", ["", ",disable-modern=on,vectors=0"])
async def test_cards_come_and_go_behind_bridges(tmp_path: Path, options: str) -> None:
    async with linux(tmp_path, WATCH, MODULES, devices=BRIDGES) as (vm, listener):
        add, delete = vm.qmp.device_add, vm.qmp.device_del
        await vm.serial.expect("READY", timeout=PATIENCE)
        given = {"disable-modern": True, "vectors": 0} if options else {}
        await add({"driver": "virtio-rng-pci", "id": "rng", "bus": "outer", "addr": "7", **given})
        await vm.serial.expect("CAME 0000:01:07.0", timeout=PATIENCE)
        await vm.serial.expect("BYTES 5000", timeout=PATIENCE)
        await add({"driver": "virtio-net-pci", "id": "net", "bus": "inner", "mac": "52:54:00:00:00:77", **given})
        await vm.serial.expect("52:54:00:00:00:77", timeout=PATIENCE)
        for id, said in (("rng", "GONE"), ("net", "ALL GONE")):
            await delete(id=id)
            path = f"/machine/peripheral/{id}"
            assert (await until(listener, events.DeviceDeleted)).path == f"{path}/virtio-backend"
            assert await until(listener, events.DeviceDeleted) == events.DeviceDeleted(device=id, path=path)
            await vm.serial.expect(said, timeout=PATIENCE)
        await add({"driver": "virtio-rng-pci", "id": "again", "bus": "inner"})
        await vm.serial.expect("CAME 0000:02:00.0", timeout=PATIENCE)


async def test_a_bridge_that_came_while_the_guest_ran_takes_no_cards(tmp_path: Path) -> None:
    async with linux(tmp_path, WATCH, MODULES) as (vm, _):
        await vm.qmp.device_add({"driver": "pci-bridge", "id": "late"})
        with pytest.raises(GenericError, match="Bus 'late' does not support hotplugging"):
            await vm.qmp.device_add({"driver": "virtio-rng-pci", "bus": "late"})

"""Linux, started by SeaBIOS: the tables that firmware placed lead it to everything."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.initrd import make_initrd
from tests.support.kernel import need_busybox, need_kernel
from tests.support.linux_guest import PATIENCE, until
from tests.support.need import need

import varan
from varan.api import events
from varan.errors import VaranError
from varan.machine.spec import BootSpec, DeviceSpec, MachineSpec

pytestmark = pytest.mark.linux

SEABIOS = Path("/usr/share/seabios/bios-256k.bin")
DEVICES = (
    DeviceSpec("pci-bridge", "br", settings={"addr": "5", "chassis_nr": 1}),
    DeviceSpec("virtio-mmio"),
    DeviceSpec("virtio-rng-device"),
)
SCRIPT = """
echo READY $(cat /proc/cmdline)
echo $(basename $(readlink -f /sys/bus/virtio/devices/virtio0/..))
while ! [ -e /sys/bus/pci/devices/0000:01:00.0/virtio1 ]; do usleep 50000; done
echo CAME
while [ -e /sys/bus/pci/devices/0000:01:00.0 ]; do usleep 50000; done
echo GONE
echo mem > /sys/power/state
echo AWAKE
poweroff -f
"""


def spec(folder: Path, script: str, kernel: Path | None = None, cpus: int = 1) -> MachineSpec:
    need(SEABIOS.exists(), f"{SEABIOS} is not installed (Debian package seabios)")
    initrd = folder / "initrd"
    modules = ["virtio_mmio", "virtio_pci", "virtio_rng"]
    initrd.write_bytes(make_initrd(script, need_busybox(), modules=modules))
    boot = BootSpec(
        kernel=str(kernel or need_kernel()),
        initrd=str(initrd),
        append="console=ttyS0 panic=-1 quiet no_timer_check",
        firmware=str(SEABIOS),
    )
    return MachineSpec(
        memory=256 << 20,
        cpus=cpus,
        accelerators=(("unicorn", {}),),
        boot=boot,
        serials=("serial0",),
        devices=DEVICES,
    )


@pytest.mark.parametrize("cpus", [1, 2])
async def test_devices_sleep_and_power_work_as_the_tables_say(tmp_path: Path, cpus: int) -> None:
    async with varan.Machine(spec=spec(tmp_path, SCRIPT, cpus=cpus)) as vm, vm.qmp.listen() as listener:
        await vm.start()
        await vm.serial.expect("READY console=ttyS0 panic=-1 quiet no_timer_check", timeout=PATIENCE)
        await vm.serial.expect("LNRO0005:00", timeout=PATIENCE)
        await vm.qmp.device_add({"driver": "virtio-rng-pci", "id": "late", "bus": "br"})
        await vm.serial.expect("CAME", timeout=PATIENCE)
        await vm.qmp.device_del("late")
        await vm.serial.expect("GONE", timeout=PATIENCE)
        await until(listener, events.Suspend)
        await vm.qmp.system_wakeup()
        await until(listener, events.Wakeup)
        await vm.serial.expect("AWAKE", timeout=PATIENCE)
        await until(listener, events.Shutdown)


async def test_a_reset_starts_the_kernel_with_all_cpus_again(tmp_path: Path) -> None:
    async with varan.Machine(spec=spec(tmp_path, "echo READY $(nproc); sleep 1000", cpus=2)) as vm:
        await vm.start()
        for _ in range(2):
            await vm.serial.expect("READY 2", timeout=PATIENCE)
            await vm.reset()


async def test_firmware_starts_no_other_kernel_than_a_bzimage(tmp_path: Path) -> None:
    other = tmp_path / "vmlinux"
    other.write_bytes(b"\x7fELF".ljust(4096, b"\0"))
    with pytest.raises(VaranError, match=f"kernel '{other}' is no bzImage, and firmware starts no other"):
        async with varan.Machine(spec=spec(tmp_path, "", other)):
            pass

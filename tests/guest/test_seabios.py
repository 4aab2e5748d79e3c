"""SeaBIOS as the firmware: it takes the machine's tables and its boot order, and starts what is on the disks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.initrd import make_initrd
from tests.support.kernel import need_busybox, need_kernel
from tests.support.need import need

import varan
from varan.board.bootorder import BootOrder
from varan.errors import GenericError
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec

pytestmark = pytest.mark.linux

SEABIOS = Path("/usr/share/seabios/bios-256k.bin")
PATIENCE = 60
SERIAL_PORT = bytes.fromhex("ba f8 03")  # mov dx, 0x3f8
HALT = bytes.fromhex("f4 eb fd")  # hlt; again


def disk(folder: Path, name: str) -> DriveSpec:
    """A disk whose boot sector says the disk's name on the serial port."""
    says = b"".join(bytes((0xB0, letter, 0xEE)) for letter in f"I am {name}.".encode())  # mov al, letter; out dx, al
    sector = (SERIAL_PORT + says + HALT).ljust(510, b"\0") + b"\x55\xaa"
    path = folder / f"{name}.raw"
    path.write_bytes(sector.ljust(1 << 20, b"\0"))
    return DriveSpec(name, {"driver": "raw", "file.filename": str(path)})


def machine(folder: Path, *devices: DeviceSpec, **given: object) -> varan.Machine:
    """SeaBIOS with disks `one` and `two`, which the devices show."""
    need(SEABIOS.exists(), f"{SEABIOS} is not installed (Debian package seabios)")
    return varan.Machine(
        spec=MachineSpec(
            memory=64 << 20,
            accelerators=(("unicorn", {}),),
            boot=BootSpec(firmware=str(SEABIOS)),
            serials=("serial0",),
            drives=(disk(folder, "one"), disk(folder, "two")),
            devices=devices,
            **given,  # type: ignore[arg-type]
        )
    )


def block(name: str, **settings: object) -> DeviceSpec:
    return DeviceSpec("virtio-blk-pci", f"{name}-disk", settings={"drive": name, **settings})


async def test_the_bootindex_says_which_disk_starts_and_may_change(tmp_path: Path) -> None:
    async with machine(tmp_path, block("one", bootindex=2), block("two", bootindex=1)) as vm:
        await vm.start()
        await vm.serial.expect("I am two.", timeout=PATIENCE)
        path = "/machine/peripheral/one-disk"
        with pytest.raises(GenericError, match="The bootindex 1 has already been used"):
            await vm.qmp.qom_set(path, "bootindex", 1)
        await vm.qmp.qom_set(path, "bootindex", 0)
        assert await vm.qmp.qom_get(f"{path}/virtio-backend", "bootindex") == 0
        await vm.reset()
        await vm.serial.expect("I am one.", timeout=PATIENCE)


async def test_disks_of_all_kinds_start(tmp_path: Path) -> None:
    bridge = DeviceSpec("pci-bridge", "br", settings={"chassis_nr": 1})
    behind = DeviceSpec("virtio-blk-pci", bus="br", settings={"drive": "two", "bootindex": 1})
    async with machine(tmp_path, block("one"), bridge, behind) as vm:
        await vm.start()
        await vm.serial.expect("I am two.", timeout=PATIENCE)
    ide = DeviceSpec("ide-hd", bus="ide.1", settings={"drive": "two", "bootindex": 1})
    async with machine(tmp_path, block("one"), ide) as vm:
        await vm.start()
        await vm.serial.expect("I am two.", timeout=PATIENCE)
    without = DeviceSpec("virtio-blk-device", settings={"drive": "two", "bootindex": 1})
    async with machine(tmp_path, block("one"), DeviceSpec("virtio-mmio"), without) as vm:
        await vm.start()
        await vm.serial.expect("I am two.", timeout=PATIENCE)


async def test_the_boot_menu_asks_on_the_serial_port(tmp_path: Path) -> None:
    order = BootOrder(menu=True, menu_milliseconds=60000)
    async with machine(tmp_path, block("one"), block("two"), boot_order=order) as vm:
        await vm.start()
        await vm.serial.expect("Press ESC for boot menu", timeout=PATIENCE)
        vm.serial.write("\x1b")
        await vm.serial.expect("Select boot device:", timeout=PATIENCE)
        vm.serial.write("2")
        await vm.serial.expect("I am two.", timeout=PATIENCE)


async def test_a_kernel_reads_the_files(tmp_path: Path) -> None:
    script = (
        "cd /sys/firmware/qemu_fw_cfg/by_name; ls . etc; cat bootorder/raw opt/mine/raw; wc -c < etc/acpi/tables/raw"
    )
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(1 << 20))
    initrd = tmp_path / "initrd"
    initrd.write_bytes(make_initrd(f"{script}; echo THE-END", need_busybox(), modules=["qemu_fw_cfg"]))
    described = MachineSpec(
        memory=256 << 20,
        accelerators=(("unicorn", {}),),
        boot=BootSpec(kernel=str(need_kernel()), initrd=str(initrd), append="console=ttyS0 quiet"),
        serials=("serial0",),
        drives=(DriveSpec("one", {"driver": "raw", "file.filename": str(path)}),),
        devices=(block("one", bootindex=5, addr="6"),),
        firmware_files=(("opt/mine", b"from the user\n"),),
    )
    async with varan.Machine(spec=described) as vm:
        await vm.start()
        await vm.serial.expect("THE-END", timeout=PATIENCE)
        words = vm.serial.text.replace("\0", "").split()
    assert {"bootorder", "e820", "table-loader", "acpi", "opt", "the", "user"} <= set(words)
    assert any(word.startswith("/pci@i0cf8/scsi@6/disk@0,0") for word in words)
    assert int(words[-2]) > 4096


async def test_the_monitor_sets_the_order(tmp_path: Path) -> None:
    async with machine(tmp_path, block("one")) as vm:
        command = vm.qmp.human_monitor_command
        assert await command("boot_set nc") == "boot device list now set to nc\r\n"
        assert await command("boot_set nn") == "Error: Boot device 'n' was given twice\r\n"
        await command("o /b 0x70 0x3d")
        assert await command("i /b 0x71") == "portb[0x0071] = 0x24\r\n"


async def test_bridges_get_room_for_cards_that_come_later(tmp_path: Path) -> None:
    settings = {"chassis_nr": 1, "addr": "8", "mem-reserve": "8M", "io-reserve": "8K", "bus-reserve": 2}
    bridge = DeviceSpec("pci-bridge", "br", settings=settings)
    async with machine(tmp_path, block("one"), bridge) as vm:
        await vm.start()
        await vm.serial.expect("I am one.", timeout=PATIENCE)
        (root,) = await vm.qmp.query_pci()
        (found,) = [device for device in root.devices if device.qdev_id == "br"]
    assert found.pci_bridge
    bus = found.pci_bridge.bus
    assert (bus.secondary, bus.subordinate) == (1, 3)
    assert bus.memory_range.limit + 1 - bus.memory_range.base == 8 << 20
    assert bus.io_range.limit + 1 - bus.io_range.base == 8192


async def test_strictly_nothing_but_the_list_is_tried(tmp_path: Path) -> None:
    order = BootOrder(strict=True)
    async with machine(tmp_path, block("one"), boot_order=order) as vm:
        await vm.start()
        await vm.serial.expect("No bootable device", timeout=PATIENCE)
        assert "I am" not in vm.serial.text

"""pciutils in a Linux guest reads the same of the buses as `query-pci` tells."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.support.initrd import make_initrd
from tests.support.kernel import need_busybox, need_kernel
from tests.support.need import need

import varan

pytestmark = pytest.mark.linux

DEVICES = [
    "pci-bridge,id=outer,addr=5,chassis_nr=3",
    "pci-bridge,id=inner,addr=2,chassis_nr=4,bus=outer",
    "virtio-net-pci,bus=inner,addr=1",
    "virtio-rng-pci,addr=6,multifunction=on",
    "virtio-rng-pci-non-transitional,addr=6.3,vectors=9",
    "virtio-balloon-pci,addr=7",
    "virtio-keyboard-pci,bus=outer",
    "i6300esb,addr=9",
    "pvpanic-pci,addr=a",
]
HEAD = re.compile(r"0000:(\w\w):(\w\w)\.(\d) (\w{4}): (\w{4}):(\w{4})")
REGION = re.compile(r"Region (\d): (Memory|I/O ports) at (\w+) .*\[size=(\d+)(K?)\]")
WINDOW = re.compile(r"(I/O|Memory) behind bridge: (\w+)-(\w+)")


def blocks(text: str) -> dict[tuple[int, ...], str]:
    """What lspci says, by bus, slot and function."""
    found = {}
    for block in re.split(r"\n(?=0000:)", text):
        head = HEAD.match(block)
        if head is not None:
            found[tuple(int(head[number], 16) for number in (1, 2, 3))] = block
    return found


def flat(devices: list[Any]) -> list[Any]:
    """The devices and those behind their bridges."""
    behind = [device.pci_bridge.devices or [] for device in devices if device.pci_bridge]
    return [*devices, *(one for some in behind for one in flat(some))]


def seen_by_lspci(block: str) -> dict[str, Any]:
    head = HEAD.match(block)
    assert head is not None
    irq = re.search(r"Interrupt: pin (\w) routed to IRQ (\d+)", block)
    return {
        "class": int(head[4], 16),
        "id": (int(head[5], 16), int(head[6], 16)),
        "pin and irq": (ord(irq[1]) - ord("A") + 1, int(irq[2])) if irq is not None else None,
        "regions": {
            int(number): (int(at, 16), int(size) * (1024 if unit else 1))
            for number, _, at, size, unit in REGION.findall(block)
        },
        "windows": {kind: (int(first, 16), int(last, 16)) for kind, first, last in WINDOW.findall(block)},
    }


def told_by_the_machine(device: Any) -> dict[str, Any]:
    ranges = device.pci_bridge.bus if device.pci_bridge else None
    windows = {"I/O": ranges.io_range, "Memory": ranges.memory_range} if ranges else {}
    return {
        "class": device.class_info.class_,
        "id": (device.id.vendor, device.id.device),
        "pin and irq": (device.irq_pin, device.irq) if device.irq_pin else None,
        "regions": {region.bar: (region.address, region.size) for region in device.regions},
        "windows": {kind: (range.base, range.limit) for kind, range in windows.items() if range.base < range.limit},
    }


async def test_lspci_shows_what_query_pci_tells(tmp_path: Path) -> None:
    lspci = shutil.which("lspci")
    need(lspci is not None, "no lspci: install the Debian package pciutils")
    assert lspci is not None
    script = "lspci -Dvvn 2>/dev/null; echo THE-END; sleep 100"
    modules = ["virtio_pci", "virtio_net", "virtio_rng"]
    initrd = tmp_path / "initrd"
    initrd.write_bytes(make_initrd(script, need_busybox(), modules=modules, programs=[lspci]))
    machine = {"append": "console=ttyS0 panic=-1 quiet no_timer_check", "memory": "256M", "accel": "unicorn"}
    async with varan.Machine(kernel=need_kernel(), initrd=initrd, devices=DEVICES, **machine) as vm:  # type: ignore[arg-type]
        await vm.start()
        await vm.serial.expect("THE-END", timeout=90)
        shown = blocks(vm.serial.text.replace("\r", ""))
        (root,) = await vm.qmp.query_pci()
        told = {(device.bus, device.slot, device.function): device for device in flat(root.devices)}
    assert shown.keys() == told.keys()
    for place, device in told.items():
        if place != (0, 1, 1):  # Linux adds the ports that an IDE controller has had since the first one.
            assert seen_by_lspci(shown[place]) == told_by_the_machine(device), place
    assert {
        place: int(re.findall(r"MSI-X: Enable. Count=(\d+)", block)[0])
        for place, block in shown.items()
        if "MSI-X" in block
    } == {(0, 6, 0): 2, (0, 6, 3): 9, (1, 0, 0): 3, (2, 1, 0): 4}
    for place in ((0, 6, 0), (0, 6, 3), (0, 7, 0), (1, 0, 0), (2, 1, 0)):
        assert re.findall(r"VirtIO: (\w+)", shown[place]) == ["CommonCfg", "ISR", "DeviceCfg", "Notify"]
        assert "Kernel driver in use: virtio-pci" in shown[place]
    assert "Slot ID: 0 slots, First-, chassis 04" in shown[1, 2, 0]

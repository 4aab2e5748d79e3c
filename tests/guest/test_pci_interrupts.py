"""A card behind a bridge interrupts Linux by message and by pin, through the I/O APIC and the 8259s."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.guest.test_network import need_slirp
from tests.support.linux_guest import APPEND, linux

pytestmark = pytest.mark.linux

SCRIPT = """
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ping -c 3 -i 0.2 10.0.2.2 | grep -o '3 packets received'
grep virtio /proc/interrupts
echo THE-END
read line
"""
DEVICES = [
    "pci-bridge,id=outer,addr=5",
    "pci-bridge,id=inner,bus=outer,addr=3",
    "virtio-net-pci,bus=inner,addr=2,netdev=n0",
]
"""INTA# of slot 2 is INTC# of the inner bridge, which is INTB# of the outer one, at PIRQB of the root bus."""


@pytest.mark.parametrize(
    ("append", "controller"),
    [
        ("", "PCI-MSI"),
        ("pci=nomsi", "IO-APIC .*fasteoi"),
        ("pci=nomsi acpi=off", "XT-PIC"),
    ],
)
async def test_interrupts_of_a_card_behind_bridges_arrive(tmp_path: Path, append: str, controller: str) -> None:
    need_slirp()
    modules, netdevs = ["virtio_pci", "virtio_net"], ["user,id=n0"]
    machine = {"append": f"{APPEND} {append}", "netdevs": netdevs, "devices": DEVICES}
    async with linux(tmp_path, SCRIPT, modules, **machine) as (vm, _):
        match = await vm.serial.expect(re.compile("3 packets received(.*)THE-END", re.DOTALL), timeout=120)
        lines = [line.split(None, 2) for line in match[1].splitlines() if "virtio" in line]
        assert sum(int(count) for _, count, _ in lines) >= 3
        assert all(re.match(controller, rest) for _, _, rest in lines), lines

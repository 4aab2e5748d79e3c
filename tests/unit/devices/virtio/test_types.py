"""The types of `-device`: what each says it is on PCI, and that it leaves nothing behind."""

from __future__ import annotations

import pytest
from tests.support.pci import PciRig
from tests.support.virtio_driver import GuestMemory

from varan.core.state import decode, encode
from varan.devices import listing, registry
from varan.devices.pci import registers as r
from varan.devices.pci.device import PciDevice

DEVFN = 4 << 3
IDENTITIES = {
    "i6300esb": (0x8086, 0x25AB, 0x0880),
    "pvpanic-pci": (0x1B36, 0x0011, 0x0880),
    "virtio-balloon-pci": (0x1AF4, 0x1002, 0x00FF),
    "virtio-balloon-pci-transitional": (0x1AF4, 0x1002, 0x00FF),
    "virtio-balloon-pci-non-transitional": (0x1AF4, 0x1045, 0x00FF),
    "virtio-keyboard-pci": (0x1AF4, 0x1052, 0x0900),
    "virtio-mouse-pci": (0x1AF4, 0x1052, 0x0902),
    "virtio-rng-pci": (0x1AF4, 0x1005, 0x00FF),
    "virtio-rng-pci-transitional": (0x1AF4, 0x1005, 0x00FF),
    "virtio-rng-pci-non-transitional": (0x1AF4, 0x1044, 0x00FF),
    "virtio-serial-pci": (0x1AF4, 0x1003, 0x0780),
    "virtio-serial-pci-transitional": (0x1AF4, 0x1003, 0x0780),
    "virtio-serial-pci-non-transitional": (0x1AF4, 0x1043, 0x0780),
    "virtio-tablet-pci": (0x1AF4, 0x1052, 0x0980),
}


async def plugged(rig: PciRig, name: str) -> PciDevice:
    cls = registry.find(name)
    assert cls is not None and issubclass(cls, PciDevice)
    device = cls("dev", {"addr": "4"})
    await device.acquire(rig.environment)
    rig.bus.plug(device, rig.environment)
    return device


def test_short_names_mean_devices_on_pci() -> None:
    for alias, name in registry.ALIASES.items():
        found = registry.find_driver(alias)
        assert found is not None and found.type_name == name
        assert f'name "{name}", bus PCI, alias "{alias}"' in listing.drivers()
    assert registry.find_driver("virtio-nothing") is None


@pytest.mark.parametrize("name", IDENTITIES)
async def test_a_device_says_what_it_is_and_leaves_nothing_behind(name: str) -> None:
    memory = GuestMemory()
    rig = PciRig(memory=memory.space)
    for _ in range(2):
        device = await plugged(rig, name)
        shown = rig.read(DEVFN, 0, 2), rig.read(DEVFN, 2, 2), rig.read(DEVFN, r.CLASS_CODE + 1, 2)
        assert shown == IDENTITIES[name]
        for part in device.parts().values():
            part.reset()
            part.load(decode(part.state_type, encode(part.save())))
        device.loaded()
        rig.bus.unplug(device)
        await device.release()
        assert rig.read(DEVFN, 0, 2) == 0xFFFF
        assert rig.environment.input.sinks == []
        assert rig.environment.timers.run_due() is None
    memory.ram.close()

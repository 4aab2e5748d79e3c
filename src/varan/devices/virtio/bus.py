"""Virtio buses: between a virtio device and the transport that shows it to the guest. One device fits on each."""

from __future__ import annotations

from varan.devices.bus import Bus
from varan.devices.virtio.device import AnyVirtioDevice, NoTransport


class VirtioBus(Bus):
    """Knows the register core of the device that is on it. The caller holds the machine lock."""

    type_name = "virtio-bus"
    most_devices = 1
    core: AnyVirtioDevice | None = None

    def connected(self, core: AnyVirtioDevice) -> None:
        """A device has come."""
        self.core = core

    def disconnected(self) -> None:
        """It has gone."""
        if self.core is not None:
            self.core.transport = NoTransport()
        self.core = None


class VirtioPciBus(VirtioBus):
    """Inside a virtio device on PCI."""

    type_name = "virtio-pci-bus"
    abstract = False

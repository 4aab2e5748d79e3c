"""Virtio network cards as types of `-device`."""

from __future__ import annotations

from varan.devices.bootindex import BOOTINDEX
from varan.devices.environment import Environment
from varan.devices.virtio.backend import VirtioBackend
from varan.devices.virtio.net import VirtioNet
from varan.devices.virtio.net_card import PROPERTIES, NetCard
from varan.devices.virtio.pci import VirtioPciDevice
from varan.net.adapter import format_mac
from varan.net.base import Netdev


class VirtioNetDevice(VirtioBackend):
    """A network card; `mac` reads as the address that it has."""

    type_name = "virtio-net-device"
    abstract = False
    description = "virtio network card, on a virtio bus"
    properties = (*PROPERTIES, BOOTINDEX)
    core: VirtioNet
    _card: NetCard | None = None

    @property
    def firmware_name(self) -> str:
        return "ethernet-phy@0"

    async def acquire(self, environment: Environment) -> None:
        await super().acquire(environment)
        device = self.asked_for
        netdev: Netdev | None = self.find_end(environment, "netdev")
        if netdev is not None and netdev.peer is not None:
            raise self.end_in_use("netdev", netdev.id)
        self._card = card = NetCard(
            environment,
            device.id or environment.ends.network.free_name(device.type_name),
            device.type_name,
            lambda: self.path,
            netdev,
            self.settings,
            self.ring_features,
        )
        self.settle(mac=format_mac(card.mac))

    def make_core(self, environment: Environment) -> VirtioNet:
        assert self._card is not None
        return self._card.core

    async def release(self) -> None:
        card, self._card = self._card, None
        try:
            if card is not None:
                card.close()
        finally:
            await super().release()


class VirtioNetPci(VirtioPciDevice):
    """A network card on PCI."""

    type_name = "virtio-net-pci"
    abstract = False
    description = "virtio network card"
    class_code = 0x020000
    transitional_id = 0x1000
    backend_type = VirtioNetDevice


class VirtioNetPciTransitional(VirtioNetPci):
    """The same thing by its exact name."""

    type_name = "virtio-net-pci-transitional"


class VirtioNetPciNonTransitional(VirtioNetPci):
    """Without the legacy interface."""

    type_name = "virtio-net-pci-non-transitional"
    modern_only = True

"""Virtio keyboards, mice and tablets as types of `-device`."""

from __future__ import annotations

from typing import ClassVar

from varan.core.properties import Property
from varan.devices.environment import Environment, WakeCause
from varan.devices.virtio import input as i
from varan.devices.virtio.backend import VirtioBackend
from varan.devices.virtio.bus import VirtioBus
from varan.devices.virtio.pci import VirtioPciDevice


class VirtioInputDevice(VirtioBackend):
    """What they share: while a driver listens input goes to it."""

    type_name = "virtio-input-device"
    abstract = True
    kind: ClassVar[i.Kind]
    properties = (Property("serial", "str", "serial number that the guest sees", default=""),)
    core: i.VirtioInput

    def realize(self, environment: Environment, bus: VirtioBus) -> None:
        self._environment = environment
        super().realize(environment, bus)
        environment.input.add(self.core)

    def make_core(self, environment: Environment) -> i.VirtioInput:
        return i.VirtioInput(
            environment.memory,
            self.kind,
            serial=self.settings["serial"],
            activated=self._activated,
            touched=lambda: environment.requests.wake(WakeCause.BUTTON),
            features=self.ring_features,
        )

    def _activated(self, active: bool) -> None:
        hub = self._environment.input
        (hub.prefer if active else hub.defer)(self.core)

    def unrealize(self) -> None:
        super().unrealize()
        self._environment.input.remove(self.core)


class VirtioKeyboardDevice(VirtioInputDevice):
    """A keyboard."""

    type_name = "virtio-keyboard-device"
    abstract = False
    description = "virtio keyboard, on a virtio bus"
    kind = i.KEYBOARD


class VirtioMouseDevice(VirtioInputDevice):
    """A mouse."""

    type_name = "virtio-mouse-device"
    abstract = False
    description = "virtio mouse, on a virtio bus"
    kind = i.MOUSE


class VirtioTabletDevice(VirtioInputDevice):
    """A tablet."""

    type_name = "virtio-tablet-device"
    abstract = False
    description = "virtio tablet, on a virtio bus"
    kind = i.TABLET


class VirtioInputPci(VirtioPciDevice):
    """On PCI there is no legacy interface."""

    type_name = "virtio-input-pci"
    abstract = True
    class_code = 0x098000


class VirtioKeyboardPci(VirtioInputPci):
    """A keyboard on PCI."""

    type_name = "virtio-keyboard-pci"
    abstract = False
    description = "virtio keyboard"
    class_code = 0x090000
    backend_type = VirtioKeyboardDevice


class VirtioMousePci(VirtioInputPci):
    """A mouse on PCI."""

    type_name = "virtio-mouse-pci"
    abstract = False
    description = "virtio mouse"
    class_code = 0x090200
    backend_type = VirtioMouseDevice


class VirtioTabletPci(VirtioInputPci):
    """A tablet on PCI."""

    type_name = "virtio-tablet-pci"
    abstract = False
    description = "virtio tablet, which is told positions"
    backend_type = VirtioTabletDevice

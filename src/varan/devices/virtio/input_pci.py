"""`virtio-keyboard-pci`, `virtio-mouse-pci`, `virtio-tablet-pci`."""

from __future__ import annotations

from typing import ClassVar

from varan.core.properties import Property
from varan.devices.environment import Environment, WakeCause
from varan.devices.pci.bus import PciBus
from varan.devices.virtio import input as i
from varan.devices.virtio.pci import VirtioPciDevice


class VirtioInputPci(VirtioPciDevice):
    """What they share: there is no legacy interface, and while a driver listens input goes to it."""

    type_name = "virtio-input-pci"
    abstract = True
    class_code = 0x098000
    kind: ClassVar[i.Kind]
    properties = (Property("serial", "str", "serial number that the guest sees", default=""),)
    core: i.VirtioInput

    def realize(self, environment: Environment, bus: PciBus) -> None:
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


class VirtioKeyboardPci(VirtioInputPci):
    """A keyboard."""

    type_name = "virtio-keyboard-pci"
    abstract = False
    description = "virtio keyboard"
    class_code = 0x090000
    kind = i.KEYBOARD


class VirtioMousePci(VirtioInputPci):
    """A mouse."""

    type_name = "virtio-mouse-pci"
    abstract = False
    description = "virtio mouse"
    class_code = 0x090200
    kind = i.MOUSE


class VirtioTabletPci(VirtioInputPci):
    """A tablet."""

    type_name = "virtio-tablet-pci"
    abstract = False
    description = "virtio tablet, which is told positions"
    kind = i.TABLET

"""`pvpanic-pci`: the register by which a guest tells that it has crashed, as a PCI function.

Source: the pvpanic device specification, "PCI Interface".
"""

from __future__ import annotations

from typing import Any

from varan.core.state import Device
from varan.devices.environment import Environment
from varan.devices.panic.pvpanic import EVENTS_PROPERTY, Pvpanic, make_core
from varan.devices.pci.bar import SMALLEST_MEMORY, Bar
from varan.devices.pci.device import PciDevice
from varan.devices.pci.function import PciFunction
from varan.devices.pci.layout import Identity

IDENTITY = Identity(vendor=0x1B36, device=0x0011, class_code=0x088000, revision=1)


class PvpanicPci(PciDevice):
    """`-device pvpanic-pci`. The register is the first byte of its memory BAR."""

    type_name = "pvpanic-pci"
    abstract = False
    description = "PCI function by which the guest reports a crash"
    properties = (EVENTS_PROPERTY,)
    core: Pvpanic

    def make_function(self, environment: Environment) -> PciFunction:
        self.core = make_core(environment, self.settings["events"])
        function = PciFunction(IDENTITY, name=self.type_name)
        function.add_bar(0, Bar("mem32", SMALLEST_MEMORY, self._read, self._write, name=self.type_name))
        return function

    def _read(self, offset: int, size: int) -> int:
        return self.core.read(offset, size) if offset == 0 else 0

    def _write(self, offset: int, size: int, value: int) -> None:
        if offset == 0:
            self.core.write(offset, size, value & 0xFF)

    def parts(self) -> dict[str, Device[Any]]:
        return {**super().parts(), "pvpanic": self.core}

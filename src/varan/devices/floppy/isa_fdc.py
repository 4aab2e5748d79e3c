"""`isa-fdc`: the floppy disk controller of a PC, with the bus for its drives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from varan.core.properties import Property
from varan.core.state import Device
from varan.devices.acpi.identity import AcpiIdentity
from varan.devices.bus import Bus
from varan.devices.dma.i8237 import Dma
from varan.devices.environment import Environment
from varan.devices.floppy import fdc_layout as f
from varan.devices.floppy.fdc import Fdc
from varan.devices.isa import IsaBus, IsaDevice

if TYPE_CHECKING:
    from varan.devices.floppy.floppy import Floppy

BASE, IRQ, CHANNEL = 0x3F0, 6, 2
UNITS = 2
KINDS = ("144", "288", "120", "none", "auto")
"""Of drives."""


class FloppyBus(Bus):
    """The cable: two drives."""

    type_name = "floppy-bus"
    abstract = False
    most_devices = UNITS

    def __init__(self, controller: IsaFdc) -> None:
        super().__init__()
        self.controller = controller

    @property
    def full(self) -> bool:
        """Never: a drive knows better why it does not fit."""
        return False


class IsaFdc(IsaDevice):
    """An 82077AA; the drives are devices of their own."""

    type_name = "isa-fdc"
    abstract = False
    user_creatable = False
    description = "floppy disk controller"
    properties = (
        Property("iobase", "uint32", "first of its eight ports", read=lambda fdc: BASE),
        Property("irq", "uint32", "its interrupt", read=lambda fdc: IRQ),
        Property("dma", "uint32", "its DMA channel", read=lambda fdc: CHANNEL),
        Property(
            "fallback",
            "FdcDriveType",
            "kind of drive where no disk tells",
            default="288",
            choices=("144", "288", "120"),
        ),
    )
    core: Fdc

    def __init__(self, dma: Dma, settings: Any = None) -> None:
        super().__init__(settings=settings)
        self._channel = dma.channels[CHANNEL]
        self.drives: dict[int, Floppy] = {}
        """By unit."""
        self.on_drives: Callable[[], None] = lambda: None
        """Called when a drive has come or gone."""

    def realize(self, environment: Environment, bus: IsaBus) -> None:
        line, _ = bus.output(IRQ)
        self.core = Fdc(line, self._channel)
        self.core.map(environment.ports, BASE)
        self.bus_of_drives = FloppyBus(self)
        self.add_child("floppy-bus.0", self.bus_of_drives)

    def parts(self) -> dict[str, Device[Any]]:
        return {"fdc": self.core}

    def acpi(self) -> tuple[AcpiIdentity, ...]:
        ports = (BASE + f.DOR, 4), (BASE + f.DIR, 1)
        return (AcpiIdentity("FDC0", "PNP0700", ports, IRQ, dma=CHANNEL),)

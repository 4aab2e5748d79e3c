"""The board's own devices in the object tree: what they show is read from their cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from varan.board.irqs import KEYBOARD_IRQ, MOUSE_IRQ, RTC_IRQ
from varan.core.clock import NANOSECONDS
from varan.core.properties import Property
from varan.core.state import Device
from varan.devices.acpi.identity import AcpiIdentity
from varan.devices.chipset.port_b import PortB
from varan.devices.chipset.post import POST_PORT, PostPort
from varan.devices.dma.i8237 import HIGH_PORT, LOW_PORT, Dma
from varan.devices.fwcfg import BASE as FW_CFG_PORT
from varan.devices.fwcfg import SIZE as FW_CFG_PORTS
from varan.devices.fwcfg import FwCfg
from varan.devices.input.i8042 import COMMAND_PORT, DATA_PORT, I8042
from varan.devices.input.port92 import Port92
from varan.devices.input.ps2_keyboard import Ps2Keyboard
from varan.devices.input.ps2_mouse import Ps2Mouse
from varan.devices.irq.i8259 import ELCR_PORT, MASTER_PORT, SLAVE_PORT, ChipState, I8259Pair
from varan.devices.irq.ioapic import IoApic
from varan.devices.irq.lapic import LocalApic
from varan.devices.isa import IsaDevice
from varan.devices.pci.host import PciHost
from varan.devices.pluggable import PluggableDevice
from varan.devices.system import SystemDevice
from varan.devices.timer.calendar import SECONDS_IN_DAY, date_from_days
from varan.devices.timer.hpet import Hpet
from varan.devices.timer.i8254 import I8254
from varan.devices.timer.i8254 import PORT as PIT_PORT
from varan.devices.timer.mc146818 import PORT as RTC_PORT
from varan.devices.timer.mc146818 import Mc146818

TM_YEAR_BASE = 1900
"""C's `struct tm` counts years from here, and months from 0."""

C = TypeVar("C", bound=Device[Any])


def always(value: Any) -> Callable[[Any], Any]:
    """A getter for what never changes."""
    return lambda _: value


class BoardDevice(IsaDevice, Generic[C]):
    """A device that is always there; the board maps, resets and saves its core."""

    user_creatable = False

    def __init__(self, core: C) -> None:
        super().__init__()
        self.core = core


class SystemObject(SystemDevice, Generic[C]):
    """The same on the CPUs' own bus."""

    user_creatable = False

    def __init__(self, core: C) -> None:
        super().__init__()
        self.core = core


class PciHostObject(SystemObject[PciHost]):
    """The way to PCI; its bus is its child."""

    type_name = "i440FX-pcihost"
    abstract = False
    description = "PCI host bridge"

    @property
    def firmware_name(self) -> str:
        return "pci@i0cf8"


class FwCfgObject(SystemObject[FwCfg]):
    """What the machine tells firmware and guests about itself."""

    type_name = "fw_cfg_io"
    abstract = False
    description = "firmware configuration device"

    def acpi(self) -> tuple[AcpiIdentity, ...]:
        return (AcpiIdentity("FWCF", "QEMU0002", ((FW_CFG_PORT, FW_CFG_PORTS),)),)


class HpetObject(SystemObject[Hpet]):
    """The event timers."""

    type_name = "hpet"
    abstract = False
    description = "high precision event timers"


class IoApicObject(SystemObject[IoApic]):
    """The I/O APIC, with its inputs as they are."""

    type_name = "ioapic"
    abstract = False
    description = "interrupt controller for all CPUs"
    properties = (
        Property("id", "uint8", "its number", read=lambda ioapic: ioapic.core.state.id),
        Property("inputs", "uint32", "asserted inputs, a bit each", read=lambda ioapic: ioapic.core.state.inputs),
    )


class LocalApicObject(PluggableDevice):
    """A CPU's local APIC, with its registers as they are."""

    type_name = "apic"
    abstract = False
    description = "a CPU's own interrupt controller"
    user_creatable = False
    properties = (
        Property("id", "uint32", "its number", read=lambda apic: apic.core.id),
        Property("base", "uint64", "IA32_APIC_BASE", read=lambda apic: apic.core.state.base),
        Property("tpr", "uint8", "task priority", read=lambda apic: apic.core.save().tpr),
        Property("svr", "uint32", "spurious-interrupt vector register", read=lambda apic: apic.core.state.svr),
    )

    def __init__(self, core: LocalApic) -> None:
        super().__init__()
        self.core = core
        self.realized = True


class I8259Object(BoardDevice[I8259Pair]):
    """One of the two interrupt controllers, with its registers as they are."""

    type_name = "isa-i8259"
    abstract = False
    description = "interrupt controller"
    properties = (
        Property("master", "bool", "whether the CPU hangs on it", read=lambda pic: pic.is_master),
        Property("iobase", "uint32", "first of its ports", read=lambda pic: pic.base),
        Property("elcr_addr", "uint32", "port of its edge/level register", read=lambda pic: pic.elcr_port),
        Property("irr", "uint8", "requested interrupts", read=lambda pic: pic.chip.irr),
        Property("imr", "uint8", "masked interrupts", read=lambda pic: pic.chip.imr),
        Property("isr", "uint8", "interrupts in service", read=lambda pic: pic.chip.isr),
        Property("elcr", "uint8", "level-triggered inputs", read=lambda pic: pic.chip.elcr),
    )

    def __init__(self, core: I8259Pair, is_master: bool) -> None:
        super().__init__(core)
        self.is_master = is_master
        self.base = MASTER_PORT if is_master else SLAVE_PORT
        self.elcr_port = ELCR_PORT if is_master else ELCR_PORT + 1

    @property
    def chip(self) -> ChipState:
        """The registers now."""
        state = self.core.save()
        return state.master if self.is_master else state.slave


class DmaObject(BoardDevice[Dma]):
    """One of the two DMA controllers."""

    type_name = "i8257"
    abstract = False
    description = "DMA controller"
    properties = (
        Property("base", "int32", "first of its ports", read=lambda dma: dma.base),
        Property("dshift", "int32", "bits by which its ports are apart", read=lambda dma: dma.shift),
    )

    def __init__(self, core: Dma, is_first: bool) -> None:
        super().__init__(core)
        self.base, self.shift = (LOW_PORT, 0) if is_first else (HIGH_PORT, 1)


class PitObject(BoardDevice[I8254]):
    """The interval timer."""

    type_name = "isa-pit"
    abstract = False
    description = "interval timer"
    properties = (Property("iobase", "uint32", "first of its ports", read=always(PIT_PORT)),)


class SpeakerObject(BoardDevice[PortB]):
    """Port 61h."""

    type_name = "isa-pcspk"
    abstract = False
    description = "speaker gate and timer output"


class RtcObject(BoardDevice[Mc146818]):
    """The clock chip."""

    type_name = "mc146818rtc"
    abstract = False
    description = "real-time clock with CMOS memory"
    properties = (
        Property("iobase", "uint16", "first of its ports", read=always(RTC_PORT)),
        Property("date", "struct tm", "what the clock shows", read=lambda rtc: rtc.date),
    )

    def acpi(self) -> tuple[AcpiIdentity, ...]:
        return (AcpiIdentity("RTC", "PNP0B00", ((RTC_PORT, 2),), RTC_IRQ),)

    @property
    def date(self) -> dict[str, int]:
        """The time now, with the members and bases of C's `struct tm`."""
        days, second = divmod(self.core.now() // NANOSECONDS, SECONDS_IN_DAY)
        year, month, day = date_from_days(days)
        return {
            "tm_year": year - TM_YEAR_BASE,
            "tm_mon": month - 1,
            "tm_mday": day,
            "tm_hour": second // 3600,
            "tm_min": second // 60 % 60,
            "tm_sec": second % 60,
        }


class Ps2Object(PluggableDevice, Generic[C]):
    """What hangs on the keyboard controller's cables."""

    type_name = "ps2-device"
    user_creatable = False

    def __init__(self, core: C) -> None:
        super().__init__()
        self.core = core
        self.realized = True


class KeyboardObject(Ps2Object[Ps2Keyboard]):
    """The keyboard, as the guest has set it."""

    type_name = "ps2-kbd"
    abstract = False
    properties = (
        Property("scanning", "bool", "whether keys are reported", read=lambda keyboard: keyboard.core.state.scanning),
        Property("leds", "uint8", "scroll, num and caps lock", read=lambda keyboard: keyboard.core.state.leds),
    )


class MouseObject(Ps2Object[Ps2Mouse]):
    """The mouse, as the guest has set it."""

    type_name = "ps2-mouse"
    abstract = False
    properties = (
        Property("enabled", "bool", "whether motion is reported", read=lambda mouse: mouse.core.state.enabled),
    )


class KeyboardControllerObject(BoardDevice[I8042]):
    """The keyboard controller; keyboard and mouse are its children."""

    type_name = "i8042"
    abstract = False
    description = "keyboard controller"

    def __init__(self, core: I8042, keyboard: Ps2Keyboard, mouse: Ps2Mouse) -> None:
        super().__init__(core)
        self.add_child("ps2kbd", KeyboardObject(keyboard))
        self.add_child("ps2mouse", MouseObject(mouse))

    def acpi(self) -> tuple[AcpiIdentity, ...]:
        keyboard = AcpiIdentity("KBD", "PNP0303", ((DATA_PORT, 1), (COMMAND_PORT, 1)), KEYBOARD_IRQ)
        return (keyboard, AcpiIdentity("MOU", "PNP0F13", (), MOUSE_IRQ))


class Port92Object(BoardDevice[Port92]):
    """System control port A."""

    type_name = "port92"
    abstract = False
    description = "A20 gate and fast reset"


class PostObject(BoardDevice[PostPort]):
    """The port of the power-on self test."""

    type_name = "port80"
    abstract = False
    description = "code of the power-on self test"
    properties = (
        Property("iobase", "uint32", "its port", read=always(POST_PORT)),
        Property("code", "uint8", "what was written last", read=lambda post: post.core.state.code),
    )

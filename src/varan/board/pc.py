"""The PC: which devices at which ports and interrupts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from varan.accel.base import Topology, Vcpu
from varan.board import acpi, bootorder, fwcfg
from varan.board.boot import mptable
from varan.board.boot import pci as pci_setup
from varan.board.boot.acpi.build import build
from varan.board.boot.acpi.table import Table
from varan.board.cmos import SHUTDOWN_S3, SHUTDOWN_STATUS, floppy_cells, pc_cells
from varan.board.fwcfg import Described, FirmwareSettings
from varan.board.interrupts import Interrupts
from varan.board.irqs import KEYBOARD_IRQ, MOUSE_IRQ, RTC_IRQ, TIMER_IRQ
from varan.board.objects import (
    DmaObject,
    FwCfgObject,
    HpetObject,
    I8259Object,
    IoApicObject,
    KeyboardControllerObject,
    LocalApicObject,
    PciHostObject,
    PitObject,
    Port92Object,
    PostObject,
    RtcObject,
    SpeakerObject,
)
from varan.board.rtc import RtcSetting
from varan.core.memory import GuestRam
from varan.core.state import Device, State, StateError, decode, encode
from varan.devices.acpi.piix4pm import Piix4Pm
from varan.devices.acpi.power import PM_BASE, PowerManagement, SleepType
from varan.devices.bus import Bus, SystemBus
from varan.devices.char.isa_serial import STANDARD_PORTS, IsaSerial
from varan.devices.chipset.a20 import A20Gate
from varan.devices.chipset.port_b import PortB
from varan.devices.chipset.post import PostPort
from varan.devices.dma.i8237 import Dma
from varan.devices.environment import Environment, WakeCause
from varan.devices.floppy.geometry import CMOS_TYPES
from varan.devices.floppy.isa_fdc import IsaFdc
from varan.devices.fwcfg import FwCfg
from varan.devices.ide.piix3_ide import Piix3Ide
from varan.devices.input.i8042 import I8042
from varan.devices.input.port92 import Port92
from varan.devices.input.ps2_keyboard import Ps2Keyboard
from varan.devices.input.ps2_mouse import Ps2Mouse
from varan.devices.input.ps2_sinks import KeyboardSink, MouseSink
from varan.devices.isa import IsaBus
from varan.devices.pci.bus import Fabric, PciBus
from varan.devices.pci.host import PciHost
from varan.devices.pci.i440fx import I440Fx
from varan.devices.pci.piix3 import Piix3
from varan.devices.pluggable import PluggableDevice, defaults
from varan.devices.timer.hpet import Hpet, LegacyGate
from varan.devices.timer.i8254 import I8254
from varan.devices.timer.mc146818 import Mc146818

GIB = 1 << 30
LOW_MEMORY_LIMIT = 7 * GIB // 2
"""Memory up to here lies below 4 GiB in one piece; a machine with more has SPLIT_LOW_MEMORY there."""
SPLIT_LOW_MEMORY = 3 * GIB
HIGH_MEMORY = 4 * GIB
"""Where the rest of a large memory starts."""

SYSTEM_BUS = "main-system-bus"
HPET_GSIS = range(20, 24)
"""Inputs of the I/O APIC that nothing else uses."""
ISA_BUS = "isa.0"
PCI_BUS = "pci.0"


@dataclass(frozen=True)
class PcConfig:
    """What varies between PCs. `memory` is in bytes, a multiple of the page size."""

    memory: int
    ram: GuestRam | None = None
    """`memory` bytes that are somebody else's; None: the board makes them."""
    cpus: int = 1
    topology: Topology | None = None
    """None: all CPUs are cores of one socket."""
    serial_ports: int = 1
    rtc: RtcSetting = field(default_factory=RtcSetting)
    acpi: bool = True
    """Whether there is power management, and tables that tell of it."""
    hpet: bool = True
    firmware: FirmwareSettings = field(default_factory=FirmwareSettings)
    globals: tuple[tuple[str, str, str], ...] = ()
    """(type, setting, value) for the board's own devices."""


class Pc:
    """A PC's memory, devices and wiring. After creation everything is in power-on state."""

    def __init__(self, config: PcConfig, environment: Environment) -> None:
        """Fills the spaces of `environment` and gives it interrupts and buses.

        Raises ValueError for a memory size or number of serial ports that a PC cannot have.
        """
        if not 0 <= config.serial_ports <= len(STANDARD_PORTS):
            raise ValueError(f"a PC has up to {len(STANDARD_PORTS)} serial ports, not {config.serial_ports}")
        self.config = config
        self.environment = environment
        self.ports = environment.ports
        self.memory = environment.memory
        self.ram = config.ram or GuestRam(config.memory)
        self.low_memory, self.high_memory = self._map_memory()
        self.pm: Piix4Pm | None = None
        self.power: PowerManagement | None = None
        self._tables: tuple[Table, ...] | None = None
        self._started = False
        self._next_order: str | None = None
        """The boot order from the second start on, where the first one has another."""
        self.plugged: dict[str, PluggableDevice] = {}
        """Further devices, by a name of their own that a saved machine knows them by."""
        timers, virtual = environment.timers, environment.virtual
        self.interrupts = Interrupts(config.topology or Topology(cores=config.cpus), virtual, timers)
        self.pic, lines = self.interrupts.pic, self.interrupts.lines
        environment.gsi, environment.msi = lines.line, self.interrupts.bus.message
        self.isa = IsaBus(self.ports, lambda irq: (lines.line(irq), lines.pulse(irq)))
        environment.buses[ISA_BUS] = self.isa
        self.system = SystemBus()
        environment.unattached.add_child(SYSTEM_BUS, self.system)
        self._make_timer_gates()
        self.pit = I8254(virtual, timers, self.timer_gate)
        self.port_b = PortB(virtual, self.pit)
        self.rtc = Mc146818(
            virtual if config.rtc.virtual else environment.host,
            timers,
            self.rtc_gate,
            config.rtc.offset,
            pc_cells(self.low_memory, self.high_memory, config.cpus),
        )
        self.hpet = self._make_hpet() if config.hpet else None
        self._make_input(environment.requests.guest_reset)
        self.post = PostPort()
        self._fixed = self._name_devices()
        self.interrupts.map(self.ports, self.memory)
        for device in (self.pit, self.port_b, self.rtc, self.i8042, self.port92, self.post):
            device.map(self.ports)
        self._make_pci()
        self._add_objects()
        self._make_floppies()
        self._make_fw_cfg()
        self.serials = [self._add_serial(number) for number in range(config.serial_ports)]

    def _map_memory(self) -> tuple[int, int]:
        """Show the RAM in the address space; returns the bytes below and above 4 GiB."""
        size = self.ram.size
        low = size if size <= LOW_MEMORY_LIMIT else SPLIT_LOW_MEMORY
        self.memory.map_ram(0, self.ram, 0, low)
        if low < size:
            self.memory.map_ram(HIGH_MEMORY, self.ram, low)
        return low, size - low

    def _make_timer_gates(self) -> None:
        """The ISA timers' interrupts, which the HPET may take over."""
        self.timer_gate = LegacyGate(self.environment.gsi(TIMER_IRQ))
        self.rtc_gate = LegacyGate(self.environment.gsi(RTC_IRQ))

    def _make_hpet(self) -> Hpet:
        gsi = self.environment.gsi
        legacy = ((gsi(TIMER_IRQ), self.timer_gate), (gsi(RTC_IRQ), self.rtc_gate))
        routes = {number: gsi(number) for number in HPET_GSIS}
        timers = Hpet(self.environment.virtual, self.environment.timers, routes, legacy)
        timers.map(self.memory)
        return timers

    def _make_input(self, request_reset: Callable[[], None]) -> None:
        self.a20 = A20Gate()
        self.keyboard = Ps2Keyboard()
        self.mouse = Ps2Mouse()
        for sink in (KeyboardSink(self.keyboard), MouseSink(self.mouse)):
            self.environment.input.add(sink)
        irqs = self.interrupts.lines.line(KEYBOARD_IRQ), self.interrupts.lines.line(MOUSE_IRQ)
        self.i8042 = I8042(self.keyboard, self.mouse, irqs, self.a20.switch(), request_reset)
        self.port92 = Port92(self.a20.switch(), request_reset)

    def _add_objects(self) -> None:
        """Show the devices in the object tree."""
        if self.hpet is not None:
            self._add(HpetObject(self.hpet), self.system)
        self._add(IoApicObject(self.interrupts.ioapic), self.system)
        self.lapics = [LocalApicObject(apic) for apic in self.interrupts.apics]
        self.rtc_object = RtcObject(self.rtc)
        self._add(I8259Object(self.pic, True))
        self._add(I8259Object(self.pic, False))
        self._add(PitObject(self.pit))
        self._add(SpeakerObject(self.port_b))
        self._add(self.rtc_object)
        self._add(KeyboardControllerObject(self.i8042, self.keyboard, self.mouse))
        self._add(Port92Object(self.port92))
        self._add(PostObject(self.post))

    def _add(self, device: PluggableDevice, bus: Bus | None = None) -> None:
        """Put one of the board's own devices on `bus`, the ISA bus unless given."""
        (bus or self.isa).plug(device, self.environment)
        self.environment.unattached.add_numbered_child("device", device)

    def _make_pci(self) -> None:
        self.pci = PciBus(Fabric(self.environment))
        self.environment.buses[PCI_BUS] = self.pci
        self.pci_host = PciHost(self.pci, self.environment.requests.guest_reset)
        self.pci_host.map(self.ports)
        host = PciHostObject(self.pci_host)
        self.system.plug(host, self.environment)
        self.environment.machine.add_child("i440fx", host)
        host.add_child(PCI_BUS, self.pci)
        self.i440fx = I440Fx(settings={"addr": "0.0"})
        self.piix3 = Piix3(settings={"addr": "1.0", "multifunction": True})
        self.ide = Piix3Ide(settings={"addr": "1.1"})
        for device in (self.i440fx, self.piix3, self.ide):
            self._add(device, self.pci)
        self.piix3.add_child(ISA_BUS, self.isa)
        self._fixed["pci-host"] = self.pci_host
        self._fixed["i440fx"] = self.i440fx.function
        parts = self.ide.parts()
        self._fixed["piix3-ide"] = parts.pop("pci")
        self._fixed |= parts
        if self.config.acpi:
            self._make_power()

    def _make_floppies(self) -> None:
        self.dma = Dma(self.memory)
        self.dma.map(self.ports)
        self._add(DmaObject(self.dma, True))
        self._add(DmaObject(self.dma, False))
        self.fdc = IsaFdc(self.dma, defaults(IsaFdc, self.config.globals))
        self.fdc.on_drives = self._note_floppies
        self._add(self.fdc)
        self._fixed["dma"] = self.dma
        self._fixed |= self.fdc.parts()

    def _note_floppies(self) -> None:
        """Leave in the CMOS RAM which drives there are."""
        kinds = [0, 0]
        for unit, drive in self.fdc.drives.items():
            kinds[unit] = CMOS_TYPES.get(drive.kind, 0)
        for index, value in floppy_cells(kinds).items():
            self.rtc.state.cells[index] = value

    def _make_power(self) -> None:
        self.pm = Piix4Pm(settings={**defaults(Piix4Pm, self.config.globals), "addr": "1.3"})
        self._add(self.pm, self.pci)
        self.power = self.pm.power
        self.rtc.on_alarm = self.power.alarm
        self.keyboard.on_input = self.mouse.on_input = self.power.touch
        parts = self.pm.parts()
        self._fixed["piix4-pm"] = parts.pop("pci")
        self._fixed |= parts

    def _make_fw_cfg(self) -> None:
        settings = self.config.firmware
        described = Described(
            self.memory, self.config.cpus, self.pci, self.environment.machine, self.config.acpi, self._firmware_tables
        )
        self.fw_cfg = FwCfg(self.memory, fwcfg.items(settings, described), fwcfg.files(settings, described))
        self.fw_cfg.map(self.ports)
        self._fixed["fw-cfg"] = self.fw_cfg
        found = FwCfgObject(self.fw_cfg)
        self.system.plug(found, self.environment)
        self.environment.machine.add_child("fw_cfg", found)
        order = settings.order.order if settings.order.once is None else settings.order.once
        self.set_boot_order(order)
        self._next_order = None if settings.order.once is None else settings.order.order

    def set_boot_order(self, letters: str) -> None:
        """What firmware finds in the CMOS RAM to boot from. Raises GenericError. Holds the machine lock."""
        bootorder.check(letters)
        self._next_order = None
        for index, value in bootorder.cells(letters).items():
            self.rtc.state.cells[index] = value

    def _firmware_tables(self) -> tuple[Table, ...]:
        """The tables as they were when firmware first asked after the last reset."""
        if self._tables is None:
            self._tables = self.acpi_tables()
        return self._tables

    def _add_serial(self, index: int) -> IsaSerial:
        serial = IsaSerial(settings={**defaults(IsaSerial, self.config.globals), "index": index})
        self._add(serial)
        self._fixed[f"serial{index + 1}"] = serial.port.uart
        return serial

    def _name_devices(self) -> dict[str, Device[Any]]:
        """The board's own, in the order of reset: the interrupt controllers first, since others drive their inputs."""
        devices: dict[str, Device[Any]] = {
            **self.interrupts.devices(),
            **({"hpet": self.hpet} if self.hpet is not None else {}),
            "i8254": self.pit,
            "port-b": self.port_b,
            "mc146818": self.rtc,
            "ps2-keyboard": self.keyboard,
            "ps2-mouse": self.mouse,
            "i8042": self.i8042,
            "port92": self.port92,
            "post": self.post,
        }
        return devices

    @property
    def devices(self) -> dict[str, Device[Any]]:
        """Every device with declared state, in the order of reset: the board's own, then those plugged in."""
        devices = dict(self._fixed)
        for name, plugged in self.plugged.items():
            devices.update({f"{name}:{part}": core for part, core in plugged.parts().items()})
        # Last, so that interrupt routes that were loaded meet the levels that belong to them.
        devices["piix3"] = self.piix3.function
        return devices

    def connect_cpus(self, vcpus: Sequence[Vcpu], apic_hertz: Callable[[], int]) -> None:
        """Wire the interrupt controllers to the CPUs; the local APICs' timers run at `apic_hertz`."""
        self.interrupts.connect(vcpus, apic_hertz)

    def inject_nmi(self) -> None:
        """Raise the NMI of every CPU, as far as its local APIC lets it pass. Holds the machine lock."""
        self.interrupts.inject_nmi()

    def reset(self) -> None:
        """Put every device into power-on state. Holds the machine lock."""
        self._tables = None
        if self._started and self._next_order is not None:
            self.set_boot_order(self._next_order)
        self._started = True
        for device in self.devices.values():
            device.reset()

    def act_as_firmware(self) -> None:
        """Leave devices and memory as firmware does for a kernel. Follows `reset`. Holds the machine lock."""
        mptable.install(self.memory, [apic.id for apic in self.interrupts.apics], pci_setup.interrupts())
        pci_setup.initialize(self.pci, self.piix3.function, self.ports, self._pci_windows())
        self.ide.enable()
        if self.pm is not None:
            self.pm.place(PM_BASE)

    def _pci_windows(self) -> pci_setup.Windows:
        return pci_setup.pc_windows(self.low_memory, HIGH_MEMORY + self.high_memory)

    def press_power_button(self) -> None:
        """Without ACPI a PC's button cannot tell the guest anything. Holds the machine lock."""
        if self.power is not None:
            self.power.press_power_button()

    @property
    def can_sleep(self) -> bool:
        """Whether the guest has a way to sleep (S3)."""
        return self.power is not None and SleepType.S3 in self.power.offered

    def pending_wake(self) -> WakeCause | None:
        """What ends a sleep that has just begun. Holds the machine lock."""
        return self.power.pending_wake() if self.power is not None else None

    def wake(self, cause: WakeCause) -> None:
        """Tell the guest what ended its sleep, and firmware that it was one. Holds the machine lock.

        CPUs had no power in their sleep, so their local APICs know of nothing that was asked of them before.
        """
        for apic in self.interrupts.apics:
            apic.reset()
        if self.power is not None:
            self.power.wake(cause)
            self.rtc.state.cells[SHUTDOWN_STATUS] = SHUTDOWN_S3

    def acpi_tables(self) -> tuple[Table, ...]:
        """What firmware would tell the guest about the board; empty without ACPI."""
        if self.pm is None:
            return ()
        hardware = acpi.describe(
            cpus=self.config.cpus,
            apics=self.interrupts.acpi(),
            isa=self.isa,
            system=self.system,
            root=self.pci,
            windows=self._pci_windows(),
            hpet=self.hpet is not None,
            pm=self.pm,
        )
        return build(hardware)

    def save(self) -> dict[str, Any]:
        """All device states as plain values, by device name. Holds the machine lock."""
        return {name: encode(device.save()) for name, device in self.devices.items()}

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave. The virtual clock has been set to the time of the save.

        Raises StateError, having changed nothing, when a device is missing or unknown here, or its state does not fit.
        """
        devices = self.devices
        if saved.keys() != devices.keys():
            odd = ", ".join(sorted(saved.keys() ^ devices.keys()))
            raise StateError(f"the saved machine has other devices than this one: {odd}")
        states: dict[str, State] = {}
        for name, device in devices.items():
            try:
                states[name] = decode(device.state_type, saved[name])
            except StateError as error:
                raise StateError(f"device '{name}': {error}") from None
        for name, device in devices.items():
            device.load(states[name])
        for plugged in (*self.serials, *self.plugged.values()):
            plugged.loaded()

    def close(self) -> None:
        """Give the guest's memory back, where it is the board's. No vCPU runs any more."""
        if self.config.ram is None:
            self.ram.close()

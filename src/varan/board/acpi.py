"""What ACPI tells about a PC, from what is on its buses now."""

from __future__ import annotations

from varan.board.boot import pci as pci_setup
from varan.board.boot.acpi.hardware import AcpiHardware, Apics, HotplugBus, PciHost, Window
from varan.devices.acpi.identity import AcpiIdentity
from varan.devices.acpi.pcihp import FIRST_ROOT_SLOT, PciHotplug
from varan.devices.acpi.piix4pm import Piix4Pm
from varan.devices.acpi.power import SleepType
from varan.devices.bus import SystemBus
from varan.devices.isa import IsaBus, IsaDevice
from varan.devices.pci.address import SLOTS
from varan.devices.pci.bus import PciBus
from varan.devices.system import SystemDevice
from varan.devices.timer import hpet as event_timers

PCI_PORTS = (Window(0, 0xCF7), Window(0xD00, 0xFFFF))
VIDEO_MEMORY = Window(0xA0000, 0xBFFFF)
"""With the windows for BARs, what the root bus gets of the address spaces."""


def describe(
    *,
    cpus: int,
    apics: Apics,
    isa: IsaBus,
    system: SystemBus,
    root: PciBus,
    windows: pci_setup.Windows,
    hpet: bool,
    pm: Piix4Pm,
) -> AcpiHardware:
    """The description of a PC with these parts; `windows` are the root bus's for BARs."""
    return AcpiHardware(
        cpus=cpus,
        isa=_isa_devices(isa),
        system=tuple(it for device in system.devices if isinstance(device, SystemDevice) for it in device.acpi()),
        apics=apics,
        hpet_address=event_timers.BASE if hpet else None,
        pci=_pci_host(windows, pm.hotplug, root),
        s3=SleepType.S3 in pm.power.offered,
        s4=SleepType.S4 in pm.power.offered,
    )


def _isa_devices(isa: IsaBus) -> tuple[AcpiIdentity, ...]:
    """Of several devices with one name the first."""
    named: dict[str, AcpiIdentity] = {}
    for plugged in isa.devices:
        if isinstance(plugged, IsaDevice):
            for identity in plugged.acpi():
                named.setdefault(identity.name, identity)
    return tuple(named.values())


def _pci_host(windows: pci_setup.Windows, hotplug: PciHotplug | None, root: PciBus) -> PciHost:
    memory = [VIDEO_MEMORY] + [Window(window.at, window.end - 1) for window in (windows.low, windows.high)]
    buses = _hotplug_bus(hotplug, root) if hotplug is not None else None
    return PciHost(io=PCI_PORTS, memory=tuple(memory), hotplug=buses)


def _hotplug_bus(hotplug: PciHotplug, bus: PciBus) -> HotplugBus:
    number = hotplug.number(bus)
    slots = range(FIRST_ROOT_SLOT if bus.bridge is None else 0, SLOTS) if number is not None else ()
    behind = [
        (devfn, _hotplug_bus(hotplug, function.secondary))
        for devfn, function in sorted(bus.functions.items())
        if function.secondary is not None
    ]
    return HotplugBus(number, tuple(slots), tuple(behind))

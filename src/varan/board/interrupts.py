"""How interrupts reach the CPUs of a PC: the 8259 pair, the I/O APIC and a local APIC for each CPU, wired together.

After reset the machine is in virtual wire mode: the 8259 pair reaches the first CPU through its local APIC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from varan.accel.base import APIC_HERTZ, Topology, Vcpu
from varan.board.boot.acpi.hardware import Apics
from varan.core.clock import Clock, TimerQueue
from varan.core.irq import LOCAL_APIC
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace
from varan.core.state import Device
from varan.devices.irq import ioapic
from varan.devices.irq.gsi import GsiLines
from varan.devices.irq.i8259 import I8259Pair
from varan.devices.irq.ioapic import IoApic
from varan.devices.irq.lapic import LocalApic
from varan.devices.irq.messages import MessageBus

MOST_APICS = 255
"""Numbers that a local APIC can have: the last one, 255, means all of them."""


class Interrupts:
    """See the module's text."""

    def __init__(self, topology: Topology, clock: Clock, timers: TimerQueue) -> None:
        """Raises ValueError for a topology with more numbers than local APICs can have."""
        numbers = [topology.apic_id(index) for index in range(topology.cpus)]
        if numbers[-1] >= MOST_APICS:
            raise ValueError(f"CPU {len(numbers) - 1} would have APIC number {numbers[-1]}, the last one is 254")
        self._hertz: Callable[[], int] = lambda: APIC_HERTZ
        self.bus = MessageBus()
        self.apics = [
            LocalApic(number, index == 0, self.bus, clock, timers, lambda: self._hertz())
            for index, number in enumerate(numbers)
        ]
        self.ioapic = IoApic(self.bus)
        self.pic = I8259Pair()
        self.pic.connect(self.apics[0].connect_pic(self.pic))
        self.lines = GsiLines(self.pic, self.ioapic)

    def map(self, ports: PortSpace, memory: MemorySpace) -> None:
        """Answer at the standard addresses; each CPU's accelerator answers for its local APIC."""
        self.pic.map(ports)
        self.ioapic.map(memory)

    def connect(self, vcpus: Sequence[Vcpu], hertz: Callable[[], int]) -> None:
        """Wire the local APICs to the CPUs; their timers run at `hertz`."""
        self._hertz = hertz
        for vcpu, apic in zip(vcpus, self.apics, strict=False):
            apic.connect(vcpu.pin)
            vcpu.connect(apic, apic)

    def inject_nmi(self) -> None:
        """Raise LINT1 of every local APIC once. Holds the machine lock."""
        for apic in self.apics:
            apic.pulse_lint1()

    def acpi(self) -> Apics:
        """What the MADT tells."""
        return Apics(tuple(apic.id for apic in self.apics), ioapic.RESET_ID, ioapic.BASE, LOCAL_APIC)

    def devices(self) -> dict[str, Device[Any]]:
        """The controllers by name, in the order of reset."""
        devices: dict[str, Device[Any]] = {f"lapic{index}": apic for index, apic in enumerate(self.apics)}
        devices["ioapic"] = self.ioapic
        devices["i8259"] = self.pic
        return devices

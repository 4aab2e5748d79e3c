"""Interrupt messages: how local APICs, I/O APICs and devices with MSI reach the CPUs' local APICs.

Addressing and delivery modes follow the Intel SDM, volume 3, "Determining IPI Destination" and "Message Signalled
Interrupts".
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

FIXED, LOWEST_PRIORITY, SMI, NMI, INIT, STARTUP, EXTERNAL = 0, 1, 2, 4, 5, 6, 7
"""Delivery modes, as in the interrupt command register. STARTUP is for messages from one CPU to another only."""
BROADCAST = 0xFF

MSI_WINDOW, MSI_WINDOW_SIZE = 0xFEE0_0000, 1 << 20
"""Physical addresses that a device's write turns into an interrupt message."""


class Message(NamedTuple):
    """What is sent. `destination` is an APIC's number or, when `logical`, a message destination address."""

    vector: int
    mode: int = FIXED
    destination: int = 0
    logical: bool = False
    level: bool = False
    """Whether the request is level-triggered: its end is broadcast to the I/O APICs."""


class Receiver(Protocol):
    """A local APIC, seen from the bus."""

    @property
    def id(self) -> int:
        """The APIC's number."""

    def is_addressed(self, mda: int) -> bool:
        """Whether a message destination address means this one."""

    def takes_interrupts(self) -> bool:
        """Whether it accepts fixed and lowest-priority messages now."""

    def priority(self) -> int:
        """What lowest-priority delivery compares."""

    def accept(self, vector: int, level: bool) -> None:
        """A fixed interrupt."""

    def signal(self, mode: int, vector: int) -> None:
        """NMI, INIT or STARTUP."""


class Origin(Protocol):
    """An I/O APIC: it is told when a level-triggered interrupt ends."""

    def end_of_interrupt(self, vector: int) -> None:
        """Some CPU has ended `vector`."""


class MessageBus:
    """The bus between APICs. The caller of every method holds the machine lock."""

    def __init__(self) -> None:
        self.receivers: list[Receiver] = []
        self.origins: list[Origin] = []

    def send(self, message: Message) -> bool:
        """Deliver to whom it is addressed; whether anybody took it."""
        return self.deliver(self._targets(message.destination, message.logical), message)

    def deliver(self, targets: list[Receiver], message: Message) -> bool:
        """Deliver to these, whatever the message's address; whether anybody took it."""
        mode = message.mode
        if mode in (FIXED, LOWEST_PRIORITY):
            targets = [target for target in targets if target.takes_interrupts()]
            if mode == LOWEST_PRIORITY and len(targets) > 1:
                targets = [min(targets, key=lambda target: target.priority())]
            for target in targets:
                target.accept(message.vector, message.level)
        elif mode in (NMI, INIT, STARTUP):
            for target in targets:
                target.signal(mode, message.vector)
        else:
            return False
        return bool(targets)

    def message(self, address: int, data: int) -> None:
        """A device's memory write of `data` to `address` in the MSI window; others are dropped."""
        if not MSI_WINDOW <= address < MSI_WINDOW + MSI_WINDOW_SIZE:
            return
        mode = data >> 8 & 7
        if mode != STARTUP:
            logical, level = bool(address & 4), bool(data & 0x8000)
            self.send(Message(data & 0xFF, mode, address >> 12 & 0xFF, logical, level))

    def end_of_interrupt(self, vector: int) -> None:
        """Tell the I/O APICs that a level-triggered interrupt has ended."""
        for origin in self.origins:
            origin.end_of_interrupt(vector)

    def _targets(self, destination: int, logical: bool) -> list[Receiver]:
        if logical:
            return [receiver for receiver in self.receivers if receiver.is_addressed(destination)]
        if destination == BROADCAST:
            return list(self.receivers)
        return [receiver for receiver in self.receivers if receiver.id == destination]

"""A board with nothing on it: no memory, no CPU, no device. Management tools ask it what a Varan can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from varan.accel.base import Vcpu
from varan.board.boot.acpi.table import Table
from varan.board.interrupts import Interrupts
from varan.core.qom import Object
from varan.core.state import Device
from varan.devices.environment import Environment, WakeCause
from varan.devices.pluggable import PluggableDevice
from varan.errors import GenericError


class NoBoard:
    """What `-machine none` has."""

    def __init__(self, environment: Environment) -> None:
        self.interrupts: Interrupts | None = None
        self.memory = environment.memory
        self.ports = environment.ports
        self.lapics: tuple[Object, ...] = ()
        self.plugged: dict[str, PluggableDevice] = {}
        self.devices: dict[str, Device[Any]] = {}

    def connect_cpus(self, vcpus: Sequence[Vcpu], apic_hertz: Callable[[], int]) -> None:
        """No CPU can be wired here."""

    def inject_nmi(self) -> None:
        """There is no CPU."""

    def reset(self) -> None:
        """Nothing to reset."""

    def act_as_firmware(self) -> None:
        """Nothing to set up."""

    def press_power_button(self) -> None:
        """There is none."""

    def set_boot_order(self, letters: str) -> None:
        """There is nothing to boot."""
        raise GenericError("no function defined to set boot device list for this architecture")

    def acpi_tables(self) -> tuple[Table, ...]:
        """None."""
        return ()

    @property
    def can_sleep(self) -> bool:
        """It has no guest."""
        return False

    def pending_wake(self) -> WakeCause | None:
        """Nothing."""
        return None

    def wake(self, cause: WakeCause) -> None:
        """It never sleeps."""

    def close(self) -> None:
        """Nothing to release."""

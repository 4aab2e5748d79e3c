"""Machine types: which board a description asks for, and how it hangs on the machine around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from varan.accel.base import Vcpu
from varan.board.boot.acpi.table import Table
from varan.board.boot.base import BootProgram
from varan.board.boot.choose import boot_program as choose_boot_program
from varan.board.boot.firmwarekernel import FirmwareKernel
from varan.board.fwcfg import FirmwareSettings
from varan.board.interrupts import Interrupts
from varan.board.none import NoBoard
from varan.board.pc import Pc, PcConfig
from varan.board.rtc import rtc_setting
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace
from varan.core.qom import Object
from varan.core.state import Device
from varan.devices.environment import WakeCause
from varan.devices.pluggable import PluggableDevice
from varan.errors import VaranError
from varan.machine.machinetypes import PcMachine
from varan.machine.spec import BootSpec

if TYPE_CHECKING:
    from varan.machine.machine import Machine


class Board(Protocol):
    """What a machine needs of a board."""

    @property
    def interrupts(self) -> Interrupts | None:
        """The interrupt controllers."""

    memory: MemorySpace
    ports: PortSpace
    plugged: dict[str, PluggableDevice]
    """Further devices, by a name of their own that a saved machine knows them by."""

    @property
    def lapics(self) -> Sequence[Object]:
        """Objects of the CPUs' local interrupt controllers, one for each CPU."""

    @property
    def devices(self) -> dict[str, Device[Any]]:
        """The devices with declared state, by name."""

    def connect_cpus(self, vcpus: Sequence[Vcpu], apic_hertz: Callable[[], int]) -> None:
        """Wire the interrupt controllers to the vCPUs; their local APICs' timers run at `apic_hertz`."""

    def inject_nmi(self) -> None:
        """Raise the NMI of every vCPU. The caller holds the machine lock."""

    def reset(self) -> None:
        """Put every device into power-on state. The caller holds the machine lock."""

    def act_as_firmware(self) -> None:
        """Leave devices as firmware does when it starts a kernel. The caller holds the machine lock."""

    def press_power_button(self) -> None:
        """Tell the guest by ACPI, where the board has it. The caller holds the machine lock."""

    def set_boot_order(self, letters: str) -> None:
        """Tell firmware what to boot from. Raises GenericError. The caller holds the machine lock."""

    def acpi_tables(self) -> tuple[Table, ...]:
        """What firmware would tell the guest about the board; empty without ACPI."""

    @property
    def can_sleep(self) -> bool:
        """Whether the guest has a way to sleep (ACPI S3)."""

    def pending_wake(self) -> WakeCause | None:
        """What ends a sleep that has just begun. The caller holds the machine lock."""

    def wake(self, cause: WakeCause) -> None:
        """Tell the guest what ended its sleep. The caller holds the machine lock."""

    def close(self) -> None:
        """Release the memory."""


def make(machine: Machine) -> Board:
    """The board of `machine`, from its description. Raises VaranError."""
    spec = machine.spec
    if not isinstance(machine.tree.machine, PcMachine):
        return NoBoard(machine.environment)
    if not 1 <= spec.cpus <= PcMachine.most_cpus:
        raise VaranError(f"a pc has 1 to {PcMachine.most_cpus} CPUs, not {spec.cpus}")
    utc_offset = time.localtime().tm_gmtoff
    rtc = rtc_setting(spec.rtc.base, spec.rtc.clock, machine.host_clock.now(), utc_offset)
    config = PcConfig(
        memory=spec.memory,
        ram=machine.ram,
        cpus=spec.cpus,
        topology=spec.topology,
        serial_ports=len(spec.serials),
        rtc=rtc,
        acpi=spec.acpi,
        hpet=spec.hpet,
        firmware=FirmwareSettings(
            machine.uuid.bytes, spec.boot_order, dict(spec.firmware_files), _firmware_kernel(spec.boot)
        ),
        globals=spec.globals,
    )
    try:
        return Pc(config, machine.environment)
    except ValueError as error:
        raise VaranError(str(error)) from error


def _firmware_kernel(boot: BootSpec) -> FirmwareKernel | None:
    """The kernel that firmware is to start. Raises VaranError."""
    if boot.firmware is None or boot.kernel is None:
        return None
    return FirmwareKernel(boot.kernel, boot.initrd, boot.append)


def boot_program(machine: Machine) -> BootProgram | None:
    """What the machine starts from, its files checked. Raises VaranError."""
    if isinstance(machine.board, NoBoard):
        return None
    boot = machine.spec.boot
    return choose_boot_program(
        machine.memory,
        kernel=boot.kernel,
        initrd=boot.initrd,
        append=boot.append,
        firmware=boot.firmware,
        demo=boot.demo,
        acpi=machine.board.acpi_tables if machine.spec.acpi else None,
    )


def connect_chardevs(machine: Machine) -> None:
    """Attach the board's serial ports to their character devices. Raises VaranError."""
    board, spec = machine.board, machine.spec
    if not isinstance(board, Pc):
        return
    for port, id in zip(board.serials, spec.serials, strict=True):
        if id is not None:
            port.attach(machine.find_chardev(id))

"""The typed description of a machine: every front end (command line, Python, tests) makes one, `Machine` takes one."""

from __future__ import annotations

import enum
import uuid as uuid_module
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from varan.accel.base import Topology
from varan.api.values import BlockdevOnError, PanicAction, RebootAction, ShutdownAction, WatchdogAction
from varan.board.bootorder import BootOrder

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ChardevSpec:
    """A character device: its kind in `varan.chardev.registry`, and its options as the command line spells them."""

    id: str
    kind: str
    options: dict[str, str] = field(default_factory=dict)
    mux: bool = False
    """Several frontends share it, switched by an escape key."""


@dataclass(frozen=True, slots=True)
class NetdevSpec:
    """A network back end: its kind in `varan.net.registry`, its options as the command line spells them, in order."""

    id: str
    kind: str
    options: tuple[tuple[str, str], ...] = ()


class MonitorMode(enum.Enum):
    CONTROL = "control"
    """QMP."""
    READLINE = "readline"
    """The human monitor."""


@dataclass(frozen=True, slots=True)
class MonitorSpec:
    """A monitor on a chardev."""

    chardev: str
    mode: MonitorMode = MonitorMode.READLINE
    pretty: bool = False
    id: str | None = None


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device: its type in `varan.devices.registry`, and its settings as words or JSON values by name."""

    driver: str
    id: str | None = None
    bus: str | None = None
    """The bus's name or path in the object tree; None: the first that fits."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    origin: str = field(default="", compare=False)
    """What asked for it, to be named in errors."""
    on_board: bool = False
    """The board comes with it: in the object tree it is not among the peripherals, unless it has an id."""


@dataclass(frozen=True, slots=True)
class ObjectSpec:
    """A user-made object: its type in `varan.devices.registry`, and its settings as words or JSON values by name."""

    kind: str
    id: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    origin: str = field(default="", compare=False)
    """What asked for it, to be named in errors."""


@dataclass(slots=True)
class Actions:
    """What a guest's reset, shutdown, panic or hang leads to (`-action` and its short forms, `set-action`)."""

    reboot: RebootAction = RebootAction.RESET
    shutdown: ShutdownAction = ShutdownAction.POWEROFF
    panic: PanicAction = PanicAction.SHUTDOWN
    watchdog: WatchdogAction = WatchdogAction.RESET


@dataclass(frozen=True, slots=True)
class RtcSpec:
    """`-rtc`: where the CMOS clock starts and which clock drives it.

    `base` is "utc", "localtime" or a date and time `YYYY-MM-DD[THH:MM:SS]`; `clock` is "host", "rt" or "vm".
    """

    base: str = "utc"
    clock: str = "host"


@dataclass(frozen=True, slots=True)
class BootSpec:
    """What runs first: a Linux kernel, the built-in demonstration guest, firmware, or flat bytes at an address.

    Paths are host files. `demo` goes with neither `kernel` nor `firmware`; with both of these the firmware starts the
    kernel.
    """

    kernel: str | None = None
    initrd: str | None = None
    append: str = ""
    demo: bool = False
    firmware: str | None = None
    """A BIOS image, mapped so that it ends at 4 GiB and at 1 MiB."""


@dataclass(frozen=True, slots=True)
class DriveSpec:
    """A drive for devices to use: options of its medium (`docs/block.md`), None for no medium."""

    id: str
    source: Mapping[str, Any] | None
    format: str | None = None
    """None: guessed, unless the options name a driver."""
    writeback: bool = True
    """Whether devices start with a write cache."""
    serial: str = ""
    """Serial number of devices that are given none."""
    retained: Mapping[str, Any] = field(default_factory=dict)
    """Of a drive without a medium: options that the next one is opened with (`varan.block.medium.Retained`)."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Limits on the rate of requests, by the names that throttle groups give them (`varan.block.throttle`)."""
    throttle_group: str | None = None
    """The group that shares these limits; None: the drive alone, and one called as it is."""
    snapshot: bool = False
    """What is written goes to a temporary file."""
    rerror: BlockdevOnError = BlockdevOnError.AUTO
    """What devices do about reads that fail."""
    werror: BlockdevOnError = BlockdevOnError.AUTO
    """And about writes, flushes and discards that fail."""
    account_invalid: bool = True
    """Whether an invalid request ends the time in which nothing happens."""
    account_failed: bool = True
    """Whether a failed one does, and whether its time counts."""
    intervals: tuple[int, ...] = ()
    """Seconds for which the latest latencies are kept."""
    copy_on_read: bool = False
    """The outermost node of `source` is a filter that is there for this only."""
    origin: str = field(default="", compare=False)
    """What asked for it, to be named in errors."""


@dataclass(frozen=True, slots=True)
class BlockdevSpec:
    """A block node that has a name: its options (`docs/block.md`)."""

    options: Mapping[str, Any]
    origin: str = field(default="", compare=False)
    """What asked for it, to be named in errors."""


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """A whole machine. `memory` is in bytes."""

    name: str | None = None
    uuid: uuid_module.UUID | None = None
    machine: str = "pc"
    memory: int = 128 * MIB
    memory_backend: str | None = None
    """The object that the memory comes from; None: one is made, with the settings that follow."""
    memory_settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of a `memory-backend-ram`, or with `mem-path` a `memory-backend-file`."""
    cpus: int = 1
    topology: Topology | None = None
    """None: all vCPUs are cores of one socket."""
    cpu_model: str | None = None
    accelerators: tuple[tuple[str, dict[str, str]], ...] = ()
    """Names with options in order of preference; empty means: the best sensible one."""
    boot: BootSpec = field(default_factory=BootSpec)
    boot_order: BootOrder = field(default_factory=BootOrder)
    """What firmware is told to boot from."""
    firmware_files: tuple[tuple[str, bytes], ...] = ()
    """Further files of the firmware configuration device: names and contents."""
    rtc: RtcSpec = field(default_factory=RtcSpec)
    acpi: bool = True
    """Power management, and tables that tell the guest of it."""
    hpet: bool = True
    """High-precision event timers."""
    actions: Actions = field(default_factory=Actions)
    chardevs: tuple[ChardevSpec, ...] = ()
    serials: tuple[str | None, ...] = ()
    """For each serial port a chardev's id, or None for a port that leads nowhere. Up to four."""
    debug_console: str | None = None
    """Chardev of a further device, an `isa-debugcon`."""
    objects: tuple[ObjectSpec, ...] = ()
    """User-made objects, made before the devices."""
    blockdevs: tuple[BlockdevSpec, ...] = ()
    drives: tuple[DriveSpec, ...] = ()
    devices: tuple[DeviceSpec, ...] = ()
    """Devices beside the board's own."""
    netdevs: tuple[NetdevSpec, ...] = ()
    monitors: tuple[MonitorSpec, ...] = ()
    autostart: bool = True
    globals: tuple[tuple[str, str, str], ...] = ()
    """Driver (or a type that it derives from), setting, value: other defaults for devices' settings."""

    @property
    def arrangement(self) -> Topology:
        """How the vCPUs are arranged."""
        return self.topology or Topology(cores=self.cpus)

"""Collects what options say, fills in the defaults of QEMU's grammar, and checks what only the whole can show."""

from __future__ import annotations

import uuid as uuid_module
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from varan.accel.base import Topology
from varan.board.bootorder import BootOrder
from varan.cli import fdsets
from varan.cli.option import UsageError
from varan.cli.process import InheritedFd, ProcessSpec
from varan.core.sizes import parse_size
from varan.machine.spec import (
    MIB,
    Actions,
    BlockdevSpec,
    BootSpec,
    ChardevSpec,
    DeviceSpec,
    DriveSpec,
    MachineSpec,
    MonitorSpec,
    NetdevSpec,
    ObjectSpec,
    RtcSpec,
)

DEFAULT_MEMORY = 128 * MIB
SERIAL_PORTS = 4


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole command line: the machine and the process it runs in."""

    machine: MachineSpec
    process: ProcessSpec
    warnings: tuple[str, ...] = ()
    """Lines for the user about what has no effect."""


@dataclass(slots=True)
class BootDraft:
    """What boots, while options are still coming."""

    kernel: str | None = None
    initrd: str | None = None
    append: str | None = None
    firmware: str | None = None
    demo: bool = False


@dataclass(slots=True)
class ProcessDraft:
    """`ProcessSpec` while options are still coming."""

    daemonize: bool = False
    pidfile: str | None = None
    log_items: tuple[str, ...] = ()
    log_file: str | None = None
    timestamps: bool = False
    label_with_name: bool = False
    title: str | None = None
    name_threads: bool = False
    dump_guest_memory: bool = True
    inherited_fds: list[InheritedFd] = field(default_factory=list)


@dataclass(slots=True)
class Builder:
    """The state that option folds change. `finish` makes the specs of it."""

    program: str = "varan"
    name: str | None = None
    uuid: uuid_module.UUID | None = None
    machine: str = "pc"
    memory: int | None = None
    """Bytes; None: as many as the memory backend has, or DEFAULT_MEMORY."""
    memory_backend: str | None = None
    memory_settings: dict[str, Any] = field(default_factory=dict)
    """Of the memory that is made where no backend is named."""
    topology: Topology = field(default_factory=Topology)
    cpu_model: str | None = None
    accelerators: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    machine_accelerators: list[str] = field(default_factory=list)
    """Those of `-machine accel=`, which excludes `-accel`."""
    boot: BootDraft = field(default_factory=BootDraft)
    boot_order: BootOrder = field(default_factory=BootOrder)
    firmware_files: dict[str, bytes] = field(default_factory=dict)
    rtc: RtcSpec = field(default_factory=RtcSpec)
    acpi: bool = True
    hpet: bool = True
    actions: Actions = field(default_factory=Actions)
    chardevs: list[ChardevSpec] = field(default_factory=list)
    serials: list[str | None] = field(default_factory=list)
    netdevs: list[NetdevSpec] = field(default_factory=list)
    monitors: list[MonitorSpec] = field(default_factory=list)
    debug_console: str | None = None
    objects: list[ObjectSpec] = field(default_factory=list)
    blockdevs: list[BlockdevSpec] = field(default_factory=list)
    drives: list[DriveSpec] = field(default_factory=list)
    snapshot: bool = False
    """What is written to drives goes to temporary files."""
    snapshots: dict[str, bool] = field(default_factory=dict)
    """By drive: where it says otherwise, or so itself."""
    drive_numbers: dict[str, set[int]] = field(default_factory=dict)
    """Indices of the drives by interface."""
    devices: list[DeviceSpec] = field(default_factory=list)
    disk_devices: list[DeviceSpec] = field(default_factory=list)
    """Devices that -drive asks for: they come behind those of -device."""
    board_disks: list[DeviceSpec] = field(default_factory=list)
    """The same on the board's own controllers: they come first, so that those of -device get what is left."""
    compat_monitors: int = 0
    """Monitors made by -monitor and -qmp so far: they number their character devices."""
    globals: list[tuple[str, str, str]] = field(default_factory=list)
    autostart: bool = True
    nographic: bool = False
    default_serial: bool = True
    default_monitor: bool = True
    default_drives: bool = True
    process: ProcessDraft = field(default_factory=ProcessDraft)
    warnings: list[str] = field(default_factory=list)

    def add_chardev(self, chardev: ChardevSpec) -> None:
        """Add a character device. Raises UsageError when its id is taken."""
        if any(other.id == chardev.id for other in self.chardevs):
            raise UsageError(f"duplicate ID '{chardev.id}' for chardev")
        self.chardevs.append(chardev)

    def finish(self) -> Configuration:
        """The specs. Raises UsageError for what does not go together."""
        self._add_default_consoles()
        self._check_boot()
        self._check_chardevs()
        self._check_daemon()
        if self.memory_backend is not None and "mem-path" in self.memory_settings:
            raise UsageError("'-mem-path' can't be used together with '-machine memory-backend'")
        machine = fdsets.resolve(self._machine_spec(), self.process.inherited_fds)
        return Configuration(machine, self._process_spec(), tuple(self.warnings))

    def _add_default_consoles(self) -> None:
        """A serial port, and with -nographic a monitor, on the terminal; without it the port leads nowhere."""
        if self.nographic:
            if self.default_serial and self.default_monitor:
                self._add_stdio("serial0", mux=True)
                self.monitors.append(MonitorSpec("serial0"))
                self.serials.append("serial0")
            elif self.default_serial:
                self._add_stdio("serial0", mux=False)
                self.serials.append("serial0")
            elif self.default_monitor:
                self._add_stdio("compat_monitor0", mux=False)
                self.monitors.append(MonitorSpec("compat_monitor0"))
        elif self.default_serial and self.machine != "none":
            self.add_chardev(ChardevSpec("serial0", "null"))
            self.serials.append("serial0")
        self.default_serial = self.default_monitor = False

    def _add_stdio(self, id: str, mux: bool) -> None:
        self.add_chardev(ChardevSpec(id, "stdio", {"signal": "off"} if mux else {}, mux))

    def _check_boot(self) -> None:
        boot = self.boot
        if boot.append is not None and boot.kernel is None:
            raise UsageError("-append only allowed with -kernel option")
        if boot.initrd is not None and boot.kernel is None:
            raise UsageError("-initrd only allowed with -kernel option")
        given = [
            name
            for name, is_given in (
                ("-kernel", boot.kernel is not None),
                ("-demo", boot.demo),
                ("-bios", boot.firmware is not None),
            )
            if is_given
        ]
        if len(given) > 1 and boot.demo:
            raise UsageError(f"{given[0]} and {given[1]} cannot be used together")
        if given and self.machine == "none":
            raise UsageError(f"{given[0]} is not supported by the machine 'none', which has no CPU")

    def _check_chardevs(self) -> None:
        known = {chardev.id: chardev for chardev in self.chardevs}
        users = [("-serial chardev:", id) for id in self.serials if id is not None]
        users += [("-mon chardev=", monitor.chardev) for monitor in self.monitors]
        if self.debug_console is not None:
            users.append(("-debugcon chardev:", self.debug_console))
        for option, id in users:
            if id not in known:
                raise UsageError(f'{option}{id}: chardev "{id}" not found')
        for id, count in Counter(id for _, id in users).items():
            if count > 1 and not known[id].mux:
                raise UsageError(f"chardev '{id}' has {count} users; give it mux=on to let them share it")
        if sum(chardev.kind == "stdio" for chardev in self.chardevs) > 1:
            raise UsageError("cannot use stdio by multiple character devices")

    def _check_daemon(self) -> None:
        if not self.process.daemonize:
            return
        if self.nographic:
            raise UsageError("-nographic cannot be used with -daemonize")
        for chardev in self.chardevs:
            if chardev.kind == "stdio":
                raise UsageError(f"chardev '{chardev.id}': stdio cannot be used with -daemonize")

    def _machine_spec(self) -> MachineSpec:
        if self.accelerators and self.machine_accelerators:
            raise UsageError('The -accel and "-machine accel=" options are incompatible')
        topology, boot = self.topology, self.boot
        return MachineSpec(
            name=self.name,
            uuid=self.uuid,
            machine=self.machine,
            memory=self.memory if self.memory is not None else self._memory_of_backend(),
            memory_backend=self.memory_backend,
            memory_settings=self.memory_settings,
            cpus=topology.cpus,
            topology=topology,
            cpu_model=self.cpu_model,
            accelerators=tuple(self.accelerators or [(name, {}) for name in self.machine_accelerators]),
            boot=BootSpec(boot.kernel, boot.initrd, boot.append or "", boot.demo, boot.firmware),
            boot_order=self.boot_order,
            firmware_files=tuple(self.firmware_files.items()),
            rtc=self.rtc,
            acpi=self.acpi,
            hpet=self.hpet,
            actions=self.actions,
            chardevs=tuple(self.chardevs),
            serials=tuple(self.serials),
            debug_console=self.debug_console,
            netdevs=tuple(self.netdevs),
            objects=tuple(self.objects),
            blockdevs=tuple(self.blockdevs),
            drives=tuple(replace(drive, snapshot=self.snapshots.get(drive.id, self.snapshot)) for drive in self.drives),
            devices=(*self.board_disks, *self.devices, *self.disk_devices),
            monitors=tuple(self.monitors),
            autostart=self.autostart,
            globals=tuple(self.globals),
        )

    def _memory_of_backend(self) -> int:
        for made in self.objects:
            if made.id == self.memory_backend:
                size = made.settings.get("size")
                found = parse_size(size) if isinstance(size, str) else size
                return found if isinstance(found, int) else DEFAULT_MEMORY
        return DEFAULT_MEMORY

    def _process_spec(self) -> ProcessSpec:
        draft = self.process
        return ProcessSpec(
            daemonize=draft.daemonize,
            pidfile=draft.pidfile,
            log_items=draft.log_items,
            log_file=draft.log_file,
            timestamps=draft.timestamps,
            label=self.name if draft.label_with_name else None,
            announce_accelerator=not (self.accelerators or self.machine_accelerators),
            title=draft.title,
            name_threads=draft.name_threads,
            dump_guest_memory=draft.dump_guest_memory,
            inherited_fds=tuple(draft.inherited_fds),
        )

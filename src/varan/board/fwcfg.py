"""What a PC's firmware configuration device has in it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from varan.board.boot import e820
from varan.board.boot.acpi import loader
from varan.board.boot.acpi.table import Table
from varan.board.boot.firmwarekernel import ROM_FILE, FirmwareKernel
from varan.board.bootorder import BootOrder
from varan.core.memory import MemorySpace
from varan.core.qom import Object
from varan.devices.bootindex import boot_list
from varan.devices.fwcfg import Content
from varan.devices.pci import registers as r
from varan.devices.pci.bus import PciBus
from varan.errors import GenericError
from varan.guest import image

UUID, RAM_SIZE, NO_GRAPHICS, CPUS, BOOT_MENU, MOST_CPUS = 0x02, 0x03, 0x04, 0x05, 0x0E, 0x0F
DISPLAY_CLASS = 0x03
STOP = b"HALT\0"
"""At the end of the boot order: firmware shall not go on by itself."""


@dataclass(frozen=True, slots=True)
class FirmwareSettings:
    """What the user tells firmware beside the hardware."""

    uuid: bytes = bytes(16)
    order: BootOrder = field(default_factory=BootOrder)
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Files of the user's, by name."""
    kernel: FirmwareKernel | None = None
    """What firmware is to start before anything else."""


@dataclass(frozen=True, slots=True)
class Described:
    """The machine: what is read of it when firmware asks."""

    memory: MemorySpace
    cpus: int
    root_bus: PciBus
    machine: Object
    acpi: bool
    tables: Callable[[], tuple[Table, ...]]


def items(settings: FirmwareSettings, what: Described) -> dict[int, Content]:
    """The items that have keys of their own."""
    cpus = _word(what.cpus)
    kernel = settings.kernel.items(what.memory) if settings.kernel is not None else {}
    return {
        **kernel,
        UUID: lambda: settings.uuid,
        RAM_SIZE: lambda: struct.pack("<Q", what.memory.ram_size),
        NO_GRAPHICS: lambda: _word(not _has_display(what.root_bus)),
        CPUS: lambda: cpus,
        MOST_CPUS: lambda: cpus,
        BOOT_MENU: lambda: _word(bool(settings.order.menu)),
    }


def files(settings: FirmwareSettings, what: Described) -> dict[str, Content]:
    """The items that have names. Raises GenericError for a name that is taken."""
    found: dict[str, Content] = {
        "bootorder": lambda: _boot_order(what.machine, settings),
        "etc/e820": lambda: _memory_map(what.memory),
    }
    for name in (loader.TABLES_FILE, loader.RSDP_FILE, loader.SCRIPT_FILE):
        if what.acpi:
            found[name] = _file_for_loader(what, name)
    if settings.order.menu_milliseconds is not None:
        wait = _word(settings.order.menu_milliseconds)
        found["etc/boot-menu-wait"] = lambda: wait
    if settings.order.retry_milliseconds is not None:
        retry = struct.pack("<i", settings.order.retry_milliseconds)
        found["etc/boot-fail-wait"] = lambda: retry
    if settings.kernel is not None:
        found[ROM_FILE] = image.linux_rom
    for name, content in settings.files.items():
        if name in found:
            raise GenericError(f"duplicate fw_cfg file name: {name}")
        found[name] = _always(content)
    return found


def _always(content: bytes) -> Content:
    return lambda: content


def _file_for_loader(what: Described, name: str) -> Content:
    return lambda: loader.files(what.tables())[name]


def _word(value: int) -> bytes:
    return struct.pack("<H", value)


def _has_display(bus: PciBus) -> bool:
    return any(
        function.register(r.CLASS_CODE + 2, 1) == DISPLAY_CLASS
        or (function.secondary is not None and _has_display(function.secondary))
        for function in bus.functions.values()
    )


def _boot_order(machine: Object, settings: FirmwareSettings) -> bytes:
    """Paths a line each, with a NUL at the end."""
    first = [f"/rom@{ROM_FILE}"] if settings.kernel is not None else []
    lines = "".join(f"{path}\n" for path in (*first, *boot_list(machine))).encode()
    if settings.order.strict:
        return lines + STOP
    return lines[:-1] + b"\0" if lines else b""


def _memory_map(memory: MemorySpace) -> bytes:
    """All RAM, whatever the firmware will use it for."""
    runs = ((region.start, region.end) for region in memory if region.ram is not None and not region.readonly)
    return e820.encode(e820.Entry(start, end - start, e820.Kind.USABLE) for start, end in runs)

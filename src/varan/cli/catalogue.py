"""The lists that `help` as an option's argument prints. What takes time to import is imported when asked for."""

from __future__ import annotations

from collections.abc import Iterable

from varan.cli import logs
from varan.machine.boards import MACHINE_TYPES
from varan.version import VERSION

DEVICES = {
    "i8254": "interval timer",
    "i8042": "keyboard controller with the reset line",
    "i8259": "interrupt controller pair",
    "isa-debugcon": "debug console (-debugcon)",
    "isa-serial": "16550A serial port (-serial)",
    "mc146818rtc": "real-time clock with CMOS memory (-rtc)",
    "port92": "system control port: A20 gate and fast reset",
}


def version() -> str:
    """What -version prints."""
    return f"Varan version {VERSION}"


def machines() -> str:
    """What -machine help prints."""
    return _table("Supported machines are:", MACHINE_TYPES.items())


def accelerators() -> str:
    """What -accel help prints: the accelerators that this host can use, and why it cannot use the others."""
    from varan.accel import registry

    rows = []
    for name in registry.names():
        availability = registry.load(name).availability()
        rows.append((name, availability.reason if availability.usable else f"not here: {availability.reason}"))
    return _table("Accelerators:", rows)


def cpu_models() -> str:
    """What -cpu help prints."""
    from varan.accel import registry

    models: dict[str, list[str]] = {}
    for name in registry.names():
        for model in registry.load(name).cpu_models():
            models.setdefault(model, []).append(name)
    return _table("Available CPUs:", ((model, f"with {', '.join(names)}") for model, names in models.items()))


def chardevs() -> str:
    """What -chardev help prints."""
    from varan.chardev import registry

    return "\n".join(["Available chardev backend types:", *(f"  {kind}" for kind in registry.kinds())])


def devices() -> str:
    """What -device help prints."""
    return _table("Devices of the machine 'pc'; they are always there and cannot be added to:", DEVICES.items())


def log_items() -> str:
    """What -d help prints."""
    return _table("Log items (comma separated):", logs.ITEMS.items())


def _table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    entries = list(rows)
    width = max((len(name) for name, _ in entries), default=0)
    return "\n".join([title, *(f"  {name:{width}}  {text}" for name, text in entries)])

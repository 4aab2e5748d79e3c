"""The lists that `help` as an option's argument prints. What takes time to import is imported when asked for."""

from __future__ import annotations

from collections.abc import Iterable

from varan.cli import logs
from varan.version import VERSION

DEVICES = {
    "i8259": "pair of interrupt controllers",
    "i8254": "interval timer",
    "port-b": "port 61h: speaker gate and timer output",
    "mc146818": "real-time clock with CMOS memory (-rtc)",
    "i8042": "keyboard controller with the reset line",
    "ps2-keyboard": "PS/2 keyboard",
    "ps2-mouse": "PS/2 mouse",
    "port92": "system control port: A20 gate and fast reset",
    "post": "port 80h: code of the power-on self test",
    "serial1": "16550A serial port (-serial; up to serial4)",
    "debug-console": "debug console at port 402h (-debugcon)",
}
"""What the board `pc` is made of, by the names it gives its devices."""


def machine_types() -> dict[str, str]:
    """Names and descriptions of the machine types. Boards take time to import, so they are only asked when needed."""
    from varan.machine.boards import MACHINE_TYPES

    return MACHINE_TYPES


def version() -> str:
    """What -version prints."""
    return f"Varan version {VERSION}"


def machines() -> str:
    """What -machine help prints."""
    return _table("Supported machines are:", machine_types().items())


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

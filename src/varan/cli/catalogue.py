"""The lists that `help` as an option's argument prints. What takes time to import is imported when asked for."""

from __future__ import annotations

from collections.abc import Iterable

from varan.cli import logs
from varan.cli.option import UsageError
from varan.version import VERSION


def machine_types() -> dict[str, str]:
    """Names and descriptions of the machine types. Boards take time to import, so they are only asked when needed."""
    from varan.machine.machinetypes import TYPES

    found = {}
    for cls in TYPES:
        name, *aliases = cls.names
        found[name] = cls.description + (" (the default)" if cls.is_default and not aliases else "")
        for alias in aliases:
            found[alias] = f"short for {name}" + (" (the default)" if cls.is_default else "")
    return found


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


def netdevs() -> str:
    """What -netdev help prints."""
    from varan.net import registry

    return "\n".join(["Available netdev backend types:", *(f"  {kind}" for kind in registry.kinds())])


def devices() -> str:
    """What -device help prints."""
    from varan.devices import listing

    return listing.drivers()


def device_settings(driver: str) -> str:
    """What -device DRIVER,help prints. Raises UsageError for a driver there is not."""
    from varan.devices import listing, registry

    cls = registry.find_driver(driver)
    if cls is None or cls.abstract:
        raise UsageError(f"'{driver}' is not a valid device model name")
    return listing.settings(cls)


def objects() -> str:
    """What -object help prints."""
    from varan.devices import listing

    return listing.object_types()


def object_settings(kind: str) -> str:
    """What -object TYPE,help prints. Raises UsageError for a type there is not."""
    from varan.devices import listing, registry

    cls = registry.find_object(kind)
    if cls is None:
        raise UsageError(f"Parameter 'qom-type' does not accept value '{kind}'")
    return listing.settings(cls)


def has_setting(driver: str, setting: str) -> bool:
    """Whether devices of type `driver`, or of a type that derives from it, have such a setting."""
    from varan.devices import registry

    cls = registry.find(driver)
    if cls is None:
        return False
    derived = [cls, *filter(None, map(registry.find, registry.DRIVERS))] if cls.abstract else [cls]
    return any(
        one.setting
        for candidate in derived
        if issubclass(candidate, cls)
        for name, one in candidate.all_properties().items()
        if name == setting
    )


def log_items() -> str:
    """What -d help prints."""
    return _table("Log items (comma separated):", logs.ITEMS.items())


def _table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    entries = list(rows)
    width = max((len(name) for name, _ in entries), default=0)
    return "\n".join([title, *(f"  {name:{width}}  {text}" for name, text in entries)])

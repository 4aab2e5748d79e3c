"""-chardev, -serial, -monitor, -qmp and what else leads to a character device."""

from __future__ import annotations

from varan.chardev import registry
from varan.chardev.options import LegacyChardev, parse_legacy
from varan.cli import catalogue
from varan.cli.builder import SERIAL_PORTS, Builder
from varan.cli.folds.common import HELP_WORDS
from varan.cli.option import HelpRequested, UsageError
from varan.core.keyval import Arguments
from varan.machine.spec import ChardevSpec, MonitorMode, MonitorSpec

_WITH_MONITOR = "mon:"


def fold_chardev(builder: Builder, value: str) -> None:
    """-chardev BACKEND,id=ID[,mux=on][,option=value]..."""
    arguments = Arguments(value, "backend")
    kind = arguments.take_required("backend")
    if kind in HELP_WORDS:
        raise HelpRequested(catalogue.chardevs())
    if kind not in registry.kinds():
        raise UsageError(f"'{kind}' is not a valid char driver name; known are {', '.join(registry.kinds())}")
    id = arguments.take_required("id")
    mux = bool(arguments.take_bool("mux"))
    builder.add_chardev(ChardevSpec(id, kind, arguments.rest(), mux))


def fold_serial(builder: Builder, value: str) -> None:
    """-serial DEVICE"""
    builder.default_serial = False
    if len(builder.serials) == SERIAL_PORTS:
        raise UsageError(f"too many serial ports: a machine has {SERIAL_PORTS}")
    label = f"serial{len(builder.serials)}"
    chardev = _chardev(builder, label, value)
    builder.serials.append(chardev)
    if value.startswith(_WITH_MONITOR) and chardev is not None:
        builder.default_monitor = False
        builder.monitors.append(MonitorSpec(chardev))


def fold_debugcon(builder: Builder, value: str) -> None:
    """-debugcon DEVICE"""
    if builder.debug_console is not None:
        raise UsageError("there is only one debug console")
    builder.debug_console = _chardev(builder, "debugcon", value)


def fold_monitor(builder: Builder, value: str) -> None:
    """-monitor DEVICE"""
    _compat_monitor(builder, value, MonitorMode.READLINE, pretty=False)


def fold_qmp(builder: Builder, value: str) -> None:
    """-qmp DEVICE"""
    _compat_monitor(builder, value, MonitorMode.CONTROL, pretty=False)


def fold_qmp_pretty(builder: Builder, value: str) -> None:
    """-qmp-pretty DEVICE"""
    _compat_monitor(builder, value, MonitorMode.CONTROL, pretty=True)


def fold_mon(builder: Builder, value: str) -> None:
    """-mon [chardev=]ID[,mode=readline|control][,pretty=on]"""
    arguments = Arguments(value, "chardev")
    chardev = arguments.take_required("chardev")
    mode = arguments.take_choice("mode", ("readline", "control")) or "readline"
    pretty = bool(arguments.take_bool("pretty"))
    id = arguments.take("id")
    arguments.finish()
    if pretty and mode == "readline":
        raise UsageError("pretty=on goes with mode=control only")
    builder.default_monitor = False
    builder.monitors.append(MonitorSpec(chardev, MonitorMode(mode), pretty, id))


def fold_parallel(builder: Builder, value: str) -> None:
    """-parallel none"""
    if value != "none":
        raise UsageError("not supported yet: there are no parallel ports")


def _compat_monitor(builder: Builder, value: str, mode: MonitorMode, pretty: bool) -> None:
    builder.default_monitor = False
    if value == "none":
        return
    label = f"compat_monitor{builder.compat_monitors}"
    builder.compat_monitors += 1
    chardev = _chardev(builder, label, value)
    if chardev is not None:
        builder.monitors.append(MonitorSpec(chardev, mode, pretty, label))


def _chardev(builder: Builder, label: str, value: str) -> str | None:
    """The id of the character device that a short form names or makes; None for `none`."""
    target = parse_legacy(value)
    if isinstance(target, LegacyChardev):
        builder.add_chardev(ChardevSpec(label, target.kind, dict(target.options), target.mux))
        return label
    return None if target is None else target.id

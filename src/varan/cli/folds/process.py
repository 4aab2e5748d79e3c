"""-name, -action, -daemonize, -d and what else is about the process and its life."""

from __future__ import annotations

from varan.api.values import PanicAction, RebootAction, ShutdownAction, WatchdogAction
from varan.cli import catalogue, logs
from varan.cli.builder import Builder
from varan.cli.folds.common import HELP_WORDS
from varan.cli.option import HelpRequested, UsageError
from varan.cli.process import InheritedFd
from varan.core.keyval import Arguments


def fold_name(builder: Builder, value: str) -> None:
    """-name [guest=]NAME[,process=NAME][,debug-threads=on|off]"""
    arguments = Arguments(value, "guest")
    builder.name = arguments.take("guest") or builder.name
    builder.process.title = arguments.take("process") or builder.process.title
    threads = arguments.take_bool("debug-threads")
    if threads is not None:
        builder.process.name_threads = threads
    arguments.finish()


def fold_stopped(builder: Builder, value: str) -> None:
    """-S"""
    builder.autostart = False


def fold_no_reboot(builder: Builder, value: str) -> None:
    """-no-reboot"""
    builder.actions.reboot = RebootAction.SHUTDOWN


def fold_no_shutdown(builder: Builder, value: str) -> None:
    """-no-shutdown"""
    builder.actions.shutdown = ShutdownAction.PAUSE


def fold_action(builder: Builder, value: str) -> None:
    """-action reboot=...,shutdown=...,panic=...,watchdog=..."""
    arguments = Arguments(value)
    if reboot := arguments.take_choice("reboot", [action.value for action in RebootAction]):
        builder.actions.reboot = RebootAction(reboot)
    if shutdown := arguments.take_choice("shutdown", [action.value for action in ShutdownAction]):
        builder.actions.shutdown = ShutdownAction(shutdown)
    if panic := arguments.take_choice("panic", [action.value for action in PanicAction]):
        builder.actions.panic = PanicAction(panic)
    if watchdog := arguments.take_choice("watchdog", [action.value for action in WatchdogAction]):
        builder.actions.watchdog = WatchdogAction(watchdog)
    arguments.finish()


def fold_watchdog_action(builder: Builder, value: str) -> None:
    """-watchdog-action ACTION"""
    fold_action(builder, f"watchdog={value}")


def fold_nographic(builder: Builder, value: str) -> None:
    """-nographic"""
    builder.nographic = True


def fold_nodefaults(builder: Builder, value: str) -> None:
    """-nodefaults"""
    builder.default_serial = builder.default_monitor = builder.default_drives = False


def fold_daemonize(builder: Builder, value: str) -> None:
    """-daemonize"""
    builder.process.daemonize = True


def fold_pidfile(builder: Builder, value: str) -> None:
    """-pidfile FILE"""
    builder.process.pidfile = value


def fold_add_fd(builder: Builder, value: str) -> None:
    """-add-fd fd=FD,set=SET[,opaque=TEXT]"""
    arguments = Arguments(value)
    fd = arguments.take_number("fd")
    fd_set = arguments.take_number("set")
    opaque = arguments.take("opaque")
    arguments.finish()
    if fd is None or fd_set is None:
        raise UsageError(f"parameter '{'fd' if fd is None else 'set'}' is missing")
    if fd <= 2:
        raise UsageError("fd cannot be a standard I/O stream")
    if any(other.fd == fd for other in builder.process.inherited_fds):
        raise UsageError("fd is already in use")
    builder.process.inherited_fds.append(InheritedFd(fd, fd_set, opaque))


def fold_msg(builder: Builder, value: str) -> None:
    """-msg timestamp=on|off[,guest-name=on|off]"""
    arguments = Arguments(value)
    timestamps = arguments.take_bool("timestamp")
    label = arguments.take_bool("guest-name")
    arguments.finish()
    if timestamps is not None:
        builder.process.timestamps = timestamps
    if label is not None:
        builder.process.label_with_name = label


def fold_log_items(builder: Builder, value: str) -> None:
    """-d ITEM[,ITEM]..."""
    items = value.split(",")
    if HELP_WORDS.intersection(items):
        raise HelpRequested(catalogue.log_items())
    for item in items:
        if item not in logs.ITEMS:
            raise UsageError(f"unknown log item '{item}'; known are {', '.join(logs.ITEMS)}")
    builder.process.log_items = tuple(items)


def fold_log_file(builder: Builder, value: str) -> None:
    """-D FILE"""
    builder.process.log_file = value


def fold_version(builder: Builder, value: str) -> None:
    """-version"""
    raise HelpRequested(catalogue.version())

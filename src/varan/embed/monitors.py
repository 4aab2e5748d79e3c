"""Monitors on a machine's character devices: QMP sessions and human monitors."""

from __future__ import annotations

from collections.abc import Callable

from varan.chardev.base import Frontend
from varan.commands.control import version
from varan.commands.registry import bind
from varan.machine.machine import Machine
from varan.machine.spec import MonitorMode, MonitorSpec
from varan.qmp.monitor import Service


def attach_monitors(machine: Machine) -> None:
    """Put the monitors of the machine's description on their chardevs as soon as these have been made."""
    if machine.spec.monitors:
        machine.on_chardevs(lambda: _attach(machine))


def _attach(machine: Machine) -> None:
    service = Service(bind(machine), machine.events, version())
    for monitor in machine.spec.monitors:
        machine.find_chardev(monitor.chardev).attach_each(_factory(machine, service, monitor))


def _factory(machine: Machine, service: Service, monitor: MonitorSpec) -> Callable[[], Frontend]:
    if monitor.mode is MonitorMode.CONTROL:
        return lambda: service.monitor(pretty=monitor.pretty)
    # The human monitor takes a while to import, and most machines have none.
    from varan.commands.hmp.monitor import MonitorFrontend

    return lambda: MonitorFrontend(machine)

"""Handlers of schema/control.json."""

from __future__ import annotations

from varan.api.values import ShutdownCause, VersionInfo, VersionTriple
from varan.commands.registry import handler
from varan.machine.machine import Machine
from varan.version import VERSION

PROTOCOL = VersionTriple(major=7, minor=0, micro=0)
"""The newest protocol version that the schema follows."""


def version() -> VersionInfo:
    """What query-version and the greeting tell; the same for every machine."""
    return VersionInfo(qemu=PROTOCOL, package=f"varan-{VERSION}")


@handler("query-version")
async def query_version(machine: Machine) -> VersionInfo:
    """The protocol's version and Varan's."""
    return version()


@handler("quit")
async def quit(machine: Machine) -> None:
    """Ends the machine after the reply."""
    machine.quit(ShutdownCause.HOST_QMP_QUIT)

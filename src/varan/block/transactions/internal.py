"""Snapshots inside of the images themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from varan.block import rewire
from varan.block.base import BlockError, Node
from varan.block.formats.qcow2 import snapshots
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.formats.qcow2.snapshot_table import Snapshot
from varan.block.jobs.starting import JobStarter
from varan.block.transactions.change import Change
from varan.errors import GenericError


@dataclass(frozen=True, slots=True)
class KeepInside:
    """A snapshot in a disk's image. `clock` tells for how long the guest has run (nanoseconds)."""

    kind: ClassVar[str] = "blockdev-snapshot-internal-sync"
    ends_together: ClassVar[bool] = False
    device: str
    name: str
    clock: Callable[[], int]

    def nodes(self, starter: JobStarter) -> list[Node]:
        return starter.there(self.device, self.device)

    async def prepare(self, starter: JobStarter, change: Change) -> None:
        node = starter.either(self.device, self.device)
        starter.check_free(self.device, node)
        if node.read_only:
            raise GenericError(f"Device '{self.device}' is read only")
        if not isinstance(node, Qcow2Node):
            raise GenericError(
                f"Block format '{node.driver}' used by device '{self.device}' does not support internal snapshots"
            )
        if not self.name:
            raise GenericError("Name is empty")
        if any(there.name == self.name for there in await snapshots.list_snapshots(node)):
            raise GenericError(f"Snapshot with name '{self.name}' already exists on device '{self.device}'")
        try:
            made = await snapshots.create(node, self.name, date=time.time_ns(), vm_clock=self.clock())
        except BlockError as error:
            raise GenericError(f"Failed to create snapshot '{self.name}' on device '{self.device}': {error}") from error
        change.if_undone(lambda: snapshots.delete(node, made.id))


async def delete(starter: JobStarter, device: str, id: str | None, name: str | None) -> Snapshot:
    """Forget the snapshot of that id and that name, where they are given, and say what it was. Raises VaranError."""
    starter.either(device, device)
    if id is None and name is None:
        raise GenericError("Name or id must be provided")
    async with rewire.quiet_above(starter.graph, lambda: starter.there(device, device)):
        node = starter.either(device, device)
        starter.check_free(device, node)
        if not isinstance(node, Qcow2Node):
            raise GenericError("Failed to get a snapshot list: Operation not supported")
        for snapshot in await snapshots.list_snapshots(node):
            if (id is None or snapshot.id == id) and (name is None or snapshot.name == name):
                await snapshots.delete(node, snapshot.id)
                return snapshot
    raise GenericError(f"Snapshot with id '{_shown(id)}' and name '{_shown(name)}' does not exist on device '{device}'")


def _shown(wanted: str | None) -> str:
    return "null" if wanted is None else wanted

"""Changes to dirty bitmaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from varan.block import bitmaps
from varan.block.base import Node
from varan.block.dirty import DirtyBitmap
from varan.block.jobs.starting import JobStarter
from varan.block.jobs.watch import below_jobs
from varan.block.transactions.change import Change
from varan.errors import GenericError


def find_node(starter: JobStarter, name: str) -> Node:
    """The node of that name, or that a device of that name uses. Raises GenericError."""
    found = starter.there(name, name)
    if not found:
        raise GenericError(f"Node '{name}' not found")
    return below_jobs(found[0])


@dataclass(frozen=True, slots=True)
class _OnBitmap:
    ends_together: ClassVar[bool] = False
    node: str
    name: str

    def nodes(self, starter: JobStarter) -> list[Node]:
        return starter.there(self.node, self.node)


@dataclass(frozen=True, slots=True)
class AddBitmap(_OnBitmap):
    """A new one."""

    kind: ClassVar[str] = "block-dirty-bitmap-add"
    granularity: int | None = None
    persistent: bool = False
    enabled: bool = True

    async def prepare(self, starter: JobStarter, change: Change) -> None:
        node = below_jobs(starter.either(self.node, self.node))
        bitmaps.add(
            node,
            self.name,
            granularity=self.granularity,
            persistent=self.persistent,
            enabled=self.enabled,
            called=starter.called(node),
        )
        change.if_undone(lambda: bitmaps.remove(node, self.name))


@dataclass(frozen=True, slots=True)
class RemoveBitmap(_OnBitmap):
    """It is forgotten, in the image as well."""

    kind: ClassVar[str] = "block-dirty-bitmap-remove"

    async def prepare(self, starter: JobStarter, change: Change) -> None:
        node = find_node(starter, self.node)
        bitmap = await bitmaps.find(node, self.name)
        bitmaps.check(node, bitmap, consistent=False)
        # Nobody else is to use it in the same transaction.
        bitmap.busy = True

        def keep() -> None:
            bitmap.busy = False

        change.if_undone(keep)
        change.if_done(lambda: bitmaps.remove(node, self.name))


def _restore_if_undone(change: Change, bitmap: DirtyBitmap) -> None:
    before, changed = bytes(bitmap.bits), bitmap.changed

    def restore() -> None:
        bitmap.load(0, before)
        bitmap.changed = changed

    change.if_undone(restore)


@dataclass(frozen=True, slots=True)
class ClearBitmap(_OnBitmap):
    """All is clean."""

    kind: ClassVar[str] = "block-dirty-bitmap-clear"

    async def prepare(self, starter: JobStarter, change: Change) -> None:
        bitmap = await bitmaps.usable(find_node(starter, self.node), self.name)
        _restore_if_undone(change, bitmap)
        bitmap.clear_all()


@dataclass(frozen=True, slots=True)
class _SwitchBitmap(_OnBitmap):
    enabled: ClassVar[bool]

    async def prepare(self, starter: JobStarter, change: Change) -> None:
        node = find_node(starter, self.node)
        bitmap = await bitmaps.usable(node, self.name)
        before = bitmap.enabled
        bitmaps.set_enabled(node, bitmap, self.enabled)
        change.if_undone(lambda: bitmaps.set_enabled(node, bitmap, before))


@dataclass(frozen=True, slots=True)
class EnableBitmap(_SwitchBitmap):
    """Writes are recorded."""

    kind: ClassVar[str] = "block-dirty-bitmap-enable"
    enabled: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class DisableBitmap(_SwitchBitmap):
    """Writes are not recorded."""

    kind: ClassVar[str] = "block-dirty-bitmap-disable"
    enabled: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class MergeBitmaps(_OnBitmap):
    """What others have marked is marked: `sources` are pairs of a node, None for the same one, and a name."""

    kind: ClassVar[str] = "block-dirty-bitmap-merge"
    sources: tuple[tuple[str | None, str], ...] = ()

    async def prepare(self, starter: JobStarter, change: Change) -> None:
        node = find_node(starter, self.node)
        target = await bitmaps.usable(node, self.name)
        _restore_if_undone(change, target)
        for where, name in self.sources:
            origin = node if where is None else find_node(starter, where)
            bitmaps.merge(target, await bitmaps.usable(origin, name, change=False))

"""Backups that begin at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from varan.api.values import BitmapSyncMode, MirrorSyncMode
from varan.block.base import Node
from varan.block.jobs.starting import JobOptions, JobStarter
from varan.block.transactions.change import Change


@dataclass(frozen=True, slots=True)
class _Backup:
    ends_together: ClassVar[bool] = True
    device: str
    target: str
    sync: MirrorSyncMode
    options: JobOptions
    bitmap: str | None = None
    bitmap_mode: BitmapSyncMode | None = None
    compress: bool = False

    async def _begin(self, starter: JobStarter, target: Node) -> None:
        await starter.backup(
            self.device,
            target,
            self.sync,
            self.options,
            bitmap=self.bitmap,
            bitmap_mode=self.bitmap_mode,
            compress=self.compress,
        )


@dataclass(frozen=True, slots=True)
class BackupToFile(_Backup):
    """A backup into a file, which is made unless it is there (`existing`)."""

    kind: ClassVar[str] = "drive-backup"
    format: str | None = None
    existing: bool = False

    def nodes(self, starter: JobStarter) -> list[Node]:
        return starter.there(self.device, self.device)

    async def prepare(self, starter: JobStarter, change: Change) -> None:
        async with starter.target(
            self.device, self.target, self.format, self.sync, existing=self.existing, id=self.options.id
        ) as target:
            await self._begin(starter, target)


@dataclass(frozen=True, slots=True)
class BackupToNode(_Backup):
    """A backup into a node that is open."""

    kind: ClassVar[str] = "blockdev-backup"

    def nodes(self, starter: JobStarter) -> list[Node]:
        return [*starter.there(self.device, self.device), *starter.there(self.target, self.target)]

    async def prepare(self, starter: JobStarter, change: Change) -> None:
        await self._begin(starter, starter.node(self.target))

"""The action that fails."""

from __future__ import annotations

from typing import ClassVar

from varan.block.base import Node
from varan.block.jobs.starting import JobStarter
from varan.block.transactions.change import Change
from varan.errors import GenericError


class Abort:
    """Lets a transaction fail, for those who want to see that it leaves nothing behind."""

    kind: ClassVar[str] = "abort"
    ends_together: ClassVar[bool] = True

    def nodes(self, starter: JobStarter) -> list[Node]:
        return []

    async def prepare(self, starter: JobStarter, change: Change) -> None:
        raise GenericError("Transaction aborted using Abort action")

"""What a transaction has done so far, and how it is taken back."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Protocol

from varan.block.naming import local_path
from varan.errors import VaranError

if TYPE_CHECKING:
    from varan.block.base import Node
    from varan.block.jobs.base import BlockJob
    from varan.block.jobs.starting import JobStarter

log = logging.getLogger(__name__)

Step = Callable[[], Awaitable[None] | None]
"""Something to do later. What it raises is written to the log."""


class Change:
    """Actions add to it while they are prepared."""

    def __init__(self) -> None:
        self.jobs: list[BlockJob] = []
        """Jobs that have begun, and do their work when the transaction succeeds."""
        self._undo: list[Step] = []
        self._commit: list[Step] = []

    def if_undone(self, step: Step) -> None:
        """What to do when the transaction fails; the last that was said comes first."""
        self._undo.append(step)

    def if_done(self, step: Step) -> None:
        """What to do when the transaction succeeds."""
        self._commit.append(step)

    def remove_if_undone(self, filename: str) -> None:
        """A file that is about to be made goes again when the transaction fails, unless it was there before."""
        path = local_path(filename)
        if path is None or os.path.lexists(path):
            return

        def remove() -> None:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(path)

        self.if_undone(remove)

    async def undo(self) -> None:
        """Take everything back. Does not raise."""
        self.jobs.clear()
        for step in reversed(self._undo):
            await _take(step)

    async def commit(self) -> None:
        """Finish what was prepared. Does not raise."""
        for step in self._commit:
            await _take(step)


async def _take(step: Step) -> None:
    try:
        waiting = step()
        if inspect.isawaitable(waiting):
            await waiting
    except (VaranError, OSError) as error:
        log.warning("transaction: %s", error)
    except Exception:
        # The other steps are not to suffer from it.
        log.exception("transaction: a step failed")


class Action(Protocol):
    """One part of a transaction."""

    kind: ClassVar[str]
    """Its name in the protocol."""
    ends_together: ClassVar[bool]
    """Whether it can end together with others: it starts a job."""

    def nodes(self, starter: JobStarter) -> list[Node]:
        """What it is about to change, as far as that is there already."""

    async def prepare(self, starter: JobStarter, change: Change) -> None:
        """Do it, so that it can be taken back. All that is concerned stands still. Raises VaranError."""

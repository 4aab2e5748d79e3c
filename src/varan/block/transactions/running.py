"""Carrying out transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from varan.block import rewire
from varan.block.base import BlockError, Node
from varan.block.jobs.starting import JobStarter
from varan.block.lazy import settled
from varan.block.transactions.change import Action, Change
from varan.errors import GenericError


async def run(starter: JobStarter, *actions: Action, grouped: bool = False) -> None:
    """Do all of the actions, at one moment of all disks that they concern, or none. `grouped`: their jobs end together.

    Raises VaranError, with everything as it was.
    """
    for action in actions:
        if grouped and not action.ends_together:
            raise GenericError(
                f"Action '{action.kind}' does not support Transaction property completion-mode = grouped"
            )
    await _flush_ahead(_concerned(starter, actions))
    work = asyncio.get_running_loop().create_task(_carry_out(starter, actions, grouped))
    # Whoever asked may go away: half of it is nothing that may be left.
    await settled(work)
    work.result()


def _concerned(starter: JobStarter, actions: Sequence[Action]) -> list[Node]:
    return [node for action in actions for node in action.nodes(starter)]


async def _carry_out(starter: JobStarter, actions: Sequence[Action], grouped: bool) -> None:
    change = Change()
    async with rewire.quiet_above(starter.graph, lambda: _concerned(starter, actions)):
        try:
            for action in actions:
                await action.prepare(starter.within(change), change)
        except BaseException:
            await change.undo()
            raise
        await change.commit()
        starter.launch(change.jobs, grouped=grouped)


async def _flush_ahead(nodes: Sequence[Node]) -> None:
    """So that little is left to flush while requests wait. Whether it can be flushed is seen then."""
    for node in dict.fromkeys(nodes):
        if not node.read_only:
            try:
                await node.flush()
            except BlockError:
                continue

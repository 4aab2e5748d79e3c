"""Carrying out transactions."""

from __future__ import annotations

from collections.abc import Sequence

from varan.block import rewire
from varan.block.base import BlockError, Node
from varan.block.jobs.starting import JobStarter
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
    graph, change = starter.graph, Change()

    def concerned() -> list[Node]:
        return [node for action in actions for node in action.nodes(starter)]

    await _flush_ahead(concerned())
    async with rewire.quiet_above(graph, concerned):
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

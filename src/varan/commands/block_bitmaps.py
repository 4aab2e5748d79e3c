"""Handlers of schema/block-bitmaps.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varan.api.values import BlockDirtyBitmap, BlockDirtyBitmapAdd, BlockDirtyBitmapMerge, BlockDirtyBitmapSha256
from varan.commands.registry import handler
from varan.commands.transaction import add_bitmap, merge_bitmaps
from varan.machine.machine import Machine

if TYPE_CHECKING:
    from varan.block.transactions.change import Action


async def _do(machine: Machine, action: Action) -> None:
    from varan.block.transactions.running import run

    await run(machine.drives.jobs(machine.jobs), action)


@handler("block-dirty-bitmap-add")
async def block_dirty_bitmap_add(machine: Machine, arguments: BlockDirtyBitmapAdd) -> None:
    """What is written before it returns may be in it."""
    await _do(machine, add_bitmap(arguments))


@handler("block-dirty-bitmap-remove")
async def block_dirty_bitmap_remove(machine: Machine, arguments: BlockDirtyBitmap) -> None:
    """It is gone from the image when this returns."""
    from varan.block.transactions.marks import RemoveBitmap

    await _do(machine, RemoveBitmap(arguments.node, arguments.name))


@handler("block-dirty-bitmap-clear")
async def block_dirty_bitmap_clear(machine: Machine, arguments: BlockDirtyBitmap) -> None:
    """No request is under way at that moment."""
    from varan.block.transactions.marks import ClearBitmap

    await _do(machine, ClearBitmap(arguments.node, arguments.name))


@handler("block-dirty-bitmap-enable")
async def block_dirty_bitmap_enable(machine: Machine, arguments: BlockDirtyBitmap) -> None:
    """A second time does nothing."""
    from varan.block.transactions.marks import EnableBitmap

    await _do(machine, EnableBitmap(arguments.node, arguments.name))


@handler("block-dirty-bitmap-disable")
async def block_dirty_bitmap_disable(machine: Machine, arguments: BlockDirtyBitmap) -> None:
    """A second time does nothing."""
    from varan.block.transactions.marks import DisableBitmap

    await _do(machine, DisableBitmap(arguments.node, arguments.name))


@handler("block-dirty-bitmap-merge")
async def block_dirty_bitmap_merge(machine: Machine, arguments: BlockDirtyBitmapMerge) -> None:
    """Either all of them or none."""
    await _do(machine, merge_bitmaps(arguments))


@handler("x-debug-block-dirty-bitmap-sha256")
async def x_debug_block_dirty_bitmap_sha256(machine: Machine, arguments: BlockDirtyBitmap) -> BlockDirtyBitmapSha256:
    """As QEMU reckons it."""
    from varan.block import bitmaps
    from varan.block.transactions.marks import find_node

    node = find_node(machine.drives.jobs(machine.jobs), arguments.node)
    return BlockDirtyBitmapSha256(sha256=bitmaps.sha256(await bitmaps.find(node, arguments.name)))

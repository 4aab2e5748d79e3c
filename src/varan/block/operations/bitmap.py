"""Persistent dirty bitmaps of images: what can be done with them, and copying them to another image."""

from __future__ import annotations

from varan.block.base import Node
from varan.block.operations.qcow2_node import qcow2
from varan.light import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import Callable

WHAT = "persistent dirty bitmaps"


@record(frozen=True, slots=True)
class Action:
    """One change to a bitmap: "add", "remove", "clear", "enable", "disable", or "merge" with the name of the bitmap
    that is merged into it."""

    verb: str
    argument: str = ""


async def change(
    node: Node, name: str, actions: list[Action], *, granularity: int | None = None, source: Node | None = None
) -> None:
    """Do `actions`, in order, to the bitmap `name`; merges take their bitmaps from `source` (None: the same image).

    Raises BlockError that says which action failed.
    """
    image = qcow2(node, WHAT)
    from varan.block.formats.qcow2.bitmaps import bitmaps_of

    bitmaps = bitmaps_of(image)
    for action in actions:
        if action.verb == "add":
            bitmaps.add(name, granularity)
        elif action.verb == "remove":
            await bitmaps.remove(name)
        elif action.verb == "clear":
            bitmaps.clear(name)
        elif action.verb in ("enable", "disable"):
            bitmaps.set_enabled(name, action.verb == "enable")
        else:
            origin = bitmaps if source is None else bitmaps_of(qcow2(source, WHAT))
            bitmaps.merge(name, await origin.get(action.argument))


async def copy_all(source: Node, target: Node, *, skip_broken: bool, warn: Callable[[str], None]) -> None:
    """Copy every persistent bitmap of `source`; inconsistent ones are refused, or left out when `skip_broken`.

    Raises BlockError.
    """
    origin, image = qcow2(source, WHAT), qcow2(target, WHAT)
    from varan.block.formats.qcow2.bitmaps import bitmaps_of

    found, copies = bitmaps_of(origin), bitmaps_of(image)
    for name in found.names:
        if found.is_inconsistent(name) and skip_broken:
            warn(f"skipping inconsistent bitmap '{name}'")
            continue
        bitmap = await found.get(name)
        copies.add(name, bitmap.granularity, enabled=False)
        copies.merge(name, bitmap)
        copies.set_enabled(name, bitmap.enabled)

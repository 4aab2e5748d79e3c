"""Options of an open image that change how much is kept in memory, and what is guarded against being overwritten."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind
from varan.light import TYPE_CHECKING, IntFlag

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DEFAULT_L2_CACHE = 32 << 20
DEFAULT_REFCOUNT_CACHE = 8 << 20
MIN_TABLES = 4
"""Refcount blocks that `cache-size` always leaves room for."""
DEFAULT_CLEAN_INTERVAL = 600
MAX_CLEAN_INTERVAL = (1 << 32) - 1


class Structure(IntFlag):
    """Kinds of metadata."""

    MAIN_HEADER = 1
    ACTIVE_L1 = 2
    REFCOUNT_TABLE = 4
    SNAPSHOT_TABLE = 8
    BITMAP_DIRECTORY = 16
    ACTIVE_L2 = 32
    REFCOUNT_BLOCK = 64
    INACTIVE_L1 = 128
    INACTIVE_L2 = 256

    @property
    def option(self) -> str:
        """What turns the guarding of this one kind on or off."""
        return f"overlap-check.{(self.name or '').lower().replace('_', '-')}"


CONSTANT = (
    Structure.MAIN_HEADER
    | Structure.ACTIVE_L1
    | Structure.REFCOUNT_TABLE
    | Structure.SNAPSHOT_TABLE
    | Structure.BITMAP_DIRECTORY
)
CACHED = CONSTANT | Structure.ACTIVE_L2 | Structure.REFCOUNT_BLOCK | Structure.INACTIVE_L1
TEMPLATES = {"none": Structure(0), "constant": CONSTANT, "cached": CACHED, "all": CACHED | Structure.INACTIVE_L2}
OVERLAP_OPTIONS = {
    "overlap-check": "str",
    "overlap-check.template": "str",
    **{kind.option: "bool" for kind in Structure},
}


def _invalid(message: str) -> BlockError:
    return BlockError(ErrorKind.INVALID, message)


def guarded(options: Mapping[str, Any]) -> Structure:
    """What `overlap-check` wants guarded: a template (`cached` unless given), with kinds turned on or off. Raises
    BlockError."""
    template = options.get("overlap-check", options.get("overlap-check.template", "cached"))
    if template not in TEMPLATES:
        raise _invalid(f"'overlap-check' is one of {', '.join(TEMPLATES)}, not '{template}'")
    wanted = TEMPLATES[template]
    for kind in Structure:
        if kind.option in options:
            wanted = wanted | kind if options[kind.option] else wanted & ~kind
    return wanted


def cache_limits(options: Mapping[str, Any], cluster_size: int) -> tuple[int, int]:
    """Bytes of L2 tables and of refcount blocks that are kept in memory. `cache-size` is what both may take together;
    one of them may be given beside it. Raises BlockError."""
    both, l2, blocks = (options.get(name) for name in ("cache-size", "l2-cache-size", "refcount-cache-size"))
    if both is None:
        return int(l2 or DEFAULT_L2_CACHE), int(blocks or DEFAULT_REFCOUNT_CACHE)
    if l2 is not None and blocks is not None:
        raise _invalid("'cache-size' leaves nothing to 'l2-cache-size' and 'refcount-cache-size' together")
    for name, part in (("l2-cache-size", l2), ("refcount-cache-size", blocks)):
        if part is not None and part > both:
            raise _invalid(f"'{name}' cannot be more than 'cache-size'")
    if l2 is not None:
        return int(l2), int(both - l2)
    if blocks is None:
        blocks = min(MIN_TABLES * cluster_size, both)
    return int(both - blocks), int(blocks)


def clean_interval(options: Mapping[str, Any]) -> int:
    """Seconds after which tables that nobody looked at are dropped; 0: never. Raises BlockError."""
    seconds = int(options.get("cache-clean-interval", DEFAULT_CLEAN_INTERVAL))
    if not 0 <= seconds <= MAX_CLEAN_INTERVAL:
        raise _invalid(f"'cache-clean-interval' is 0 to {MAX_CLEAN_INTERVAL} seconds, not {seconds}")
    return seconds

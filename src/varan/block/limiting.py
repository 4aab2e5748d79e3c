"""Limits of a back end: which group it belongs to, and what that one allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varan.block.throttle import KINDS, OLD_NAMES, parse_limits
from varan.block.throttle_group import join

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from varan.block.backend import BlockBackend
    from varan.block.throttle_group import ThrottleGroup


def set_limits(
    groups: MutableMapping[str, ThrottleGroup],
    backend: BlockBackend,
    options: Mapping[str, int],
    group: str | None,
    called: str | None = None,
) -> None:
    """Let requests of `backend` go at the rates of `options`, and with them those of the whole group.

    `group`: the group's name; None: the one it is in, else one of its own, named as `called`, or as it is. No rates:
    it leaves its group. Raises LimitsError, nothing changed.
    """
    limits = parse_limits(options)
    if not limits.any:
        backend.limit(None)
        return
    member = backend.limits
    if member is None or (group is not None and member.group.name != group):
        member = join(groups, called or backend.name if group is None else group)
    member.group.change(limits)
    if member is not backend.limits:
        backend.limit(member)


def shown_limits(backend: BlockBackend) -> dict[str, int | str]:
    """The limits as `query-block` spells them, with the group's name; bursts only where there are any."""
    if backend.limits is None:
        return dict.fromkeys(OLD_NAMES.values(), 0)
    group = backend.limits.group
    shown: dict[str, int | str] = {"group": group.name}
    for kind in KINDS:
        bucket, name = group.limits.buckets[kind], OLD_NAMES[kind]
        shown[name] = int(bucket.rate)
        if bucket.burst:
            shown[f"{name}_max"] = int(bucket.burst)
            shown[f"{name}_max_length"] = bucket.burst_length
    if group.limits.iops_size:
        shown["iops_size"] = group.limits.iops_size
    return shown

"""Handlers of schema/block-throttle.json."""

from __future__ import annotations

from msgspec import UNSET

from varan.api.values import BlockIOThrottle
from varan.commands.block_media import find_backend
from varan.commands.registry import handler
from varan.errors import DeviceHasNoMedium, InvalidParameterCombination
from varan.machine.machine import Machine


@handler("block_set_io_throttle")
async def block_set_io_throttle(machine: Machine, arguments: BlockIOThrottle) -> None:
    """The group is there as soon as its first drive is."""
    from varan.block.limiting import set_limits
    from varan.block.throttle import LimitsError

    device = None if arguments.device is UNSET else arguments.device
    id = None if arguments.id is UNSET else arguments.id
    backend, called = find_backend(machine, device, id)
    if not backend.present:
        raise DeviceHasNoMedium(called, "Device has no medium")
    group = None if arguments.group is UNSET else arguments.group
    try:
        set_limits(machine.drives.throttle_groups, backend, _limits(arguments), group, called)
    except LimitsError as error:
        raise InvalidParameterCombination(str(error)) from None


def _limits(arguments: BlockIOThrottle) -> dict[str, int]:
    """The limits as throttle groups call them."""
    from varan.block.throttle import KINDS, OLD_NAMES

    limits = {"iops-size": arguments.iops_size}
    for kind in KINDS:
        for suffix in ("", "-max", "-max-length"):
            limits[kind + suffix] = getattr(arguments, OLD_NAMES[kind] + suffix.replace("-", "_"))
    return {name: value for name, value in limits.items() if value is not UNSET}

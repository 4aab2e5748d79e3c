"""`throttle-group`: limits that several disks share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from varan.block.throttle import Limits, parse_limits
from varan.block.throttle_group import ThrottleGroup
from varan.core.properties import Property
from varan.devices.backends.userobject import UserObject
from varan.devices.environment import Environment
from varan.errors import GenericError, InvalidParameterType


def _number(name: str, value: Any) -> int:
    if isinstance(value, str):
        if not value.isdecimal() or len(value) > 20:
            raise InvalidParameterType(name, "integer")
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidParameterType(name, "integer")
    return value


def _parse(given: Any) -> dict[str, int]:
    """Limits as words or JSON values, checked."""
    if not isinstance(given, Mapping):
        raise InvalidParameterType("limits", "object")
    numbers = {name: _number(name, value) for name, value in given.items()}
    parse_limits(numbers)
    return numbers


class ThrottleGroupObject(UserObject):
    """Puts a group where the filter `throttle` and drives look for it. Its limits can be changed at any time."""

    type_name = "throttle-group"
    abstract = False
    description = "limits that several disks share"
    properties = (Property("limits", "ThrottleLimits", "the limits; also limits.NAME=N", default=None, parse=_parse),)
    _group: ThrottleGroup | None = None

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(_gathered(settings))

    @property
    def in_use(self) -> bool:
        return self._group is not None and bool(self._group.members)

    async def complete(self, environment: Environment) -> None:
        self._groups: dict[str, ThrottleGroup] = environment.ends.throttle_groups
        if self.name in self._groups:
            raise GenericError("A group with this name already exists")
        self._group = ThrottleGroup(self.name, parse_limits(self.settings["limits"] or {}))
        self._groups[self.name] = self._group

    async def dispose(self) -> None:
        if self._group is not None:
            del self._groups[self.name]
            self._group = None

    def get(self, name: str) -> Any:
        if name == "limits" and self._group is not None:
            return shown(self._group.limits)
        return super().get(name)

    def set(self, name: str, value: Any) -> None:
        if name == "limits" and self._group is not None:
            self._group.change(parse_limits(_parse(value)))
        else:
            super().set(name, value)


def shown(limits: Limits) -> dict[str, int]:
    """As the protocol's ThrottleLimits."""
    values = {"iops-size": limits.iops_size}
    for kind, bucket in limits.buckets.items():
        values[kind] = int(bucket.rate)
        values[f"{kind}-max"] = int(bucket.burst)
        values[f"{kind}-max-length"] = bucket.burst_length
    return values


def _gathered(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with `limits.NAME` and `x-NAME` as members of `limits`."""
    rest: dict[str, Any] = {}
    single: dict[str, Any] = {}
    for name, value in settings.items():
        for prefix in ("limits.", "x-"):
            if name.startswith(prefix):
                single[name.removeprefix(prefix)] = value
                break
        else:
            rest[name] = value
    if single:
        limits = rest.get("limits")
        rest["limits"] = {**(limits if isinstance(limits, Mapping) else {}), **single}
    return rest

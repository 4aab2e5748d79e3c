"""Objects that users make beside devices: what `-object` and `object-add` know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from varan.core.qom import Object, settings_from
from varan.devices.environment import Environment


class UserObject(Object):
    """Base of them. It is no type of its own: that users can make them is an interface in the protocol.

    Life: `__init__(settings)` checks the settings, `await complete(environment)` takes what it needs of the host, and
    `await dispose()` gives it back.
    """

    early: ClassVar[bool] = False
    """Whether it is made before the board, which may need it."""
    interfaces: ClassVar[tuple[str, ...]] = ("user-creatable",)

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Raises QmpError for what does not fit."""
        self.settings = settings_from(type(self), settings)
        self.users = 0
        """How many others count on it; while there are any it cannot be removed."""

    @property
    def in_use(self) -> bool:
        """Whether something counts on it."""
        return self.users > 0

    async def complete(self, environment: Environment) -> None:
        """Become usable; `name` is the id. Raises VaranError, and nothing is left."""

    async def drain(self) -> None:
        """Wait until what the guest has begun with it is done. No guest code runs."""

    async def dispose(self) -> None:
        """Give back what `complete` took."""

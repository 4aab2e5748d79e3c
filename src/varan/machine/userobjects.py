"""Objects that users make: how they come (`-object`, `object-add`) and go (`object-del`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from varan.core.identifiers import IDENTIFIER
from varan.devices import registry
from varan.devices.backends.userobject import UserObject
from varan.devices.environment import Environment
from varan.errors import GenericError, InvalidParameterValue
from varan.machine.tree import Tree


class UserObjects:
    """Those of one machine. Everything here is called on the machine's loop."""

    def __init__(self, tree: Tree, environment: Environment) -> None:
        self._container = tree.objects
        self._environment = environment

    async def add(self, kind: str, id: str, settings: Mapping[str, Any]) -> UserObject:
        """Make an object of type `kind`. Raises VaranError when that cannot be, and nothing of it is left."""
        cls = registry.find_object(kind)
        if cls is None:
            raise GenericError(f"Parameter 'qom-type' does not accept value '{kind}'")
        if not IDENTIFIER.fullmatch(id):
            raise InvalidParameterValue("id", "an identifier")
        made = cls(settings)
        self._container.add_child(id, made)
        try:
            await made.complete(self._environment)
        except BaseException:
            made.remove_from_parent()
            raise
        return made

    def find(self, id: str) -> UserObject | None:
        """The object called `id`, None when there is none."""
        found = self._container.children.get(id)
        return found if isinstance(found, UserObject) else None

    @staticmethod
    def is_early(kind: str) -> bool:
        """Whether objects of this type come before the board. A type that does not exist never does."""
        cls = registry.find_object(kind)
        return cls is not None and cls.early

    async def remove(self, id: str) -> None:
        """Remove an object. Raises GenericError when there is none, or somebody uses it."""
        found = self._container.children.get(id)
        if not isinstance(found, UserObject):
            raise GenericError(f"object '{id}' not found")
        if found.in_use:
            raise GenericError(f"object '{id}' is in use, can not be deleted")
        found.remove_from_parent()
        await found.dispose()

    async def drain(self) -> None:
        """Wait until what the guest has begun with them is done. No guest code runs."""
        for found in list(self._container.children.values()):
            if isinstance(found, UserObject):
                await found.drain()

    async def close(self) -> None:
        """Dispose of all of them, those made last first."""
        for found in reversed(list(self._container.children.values())):
            if isinstance(found, UserObject):
                found.remove_from_parent()
                await found.dispose()

"""The host ends that a machine has for its devices."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from varan.block.crypto.secret import Secrets
from varan.block.throttle_group import ThrottleGroup
from varan.chardev.base import Chardev
from varan.errors import VaranError
from varan.net.base import Netdev
from varan.net.network import Network

if TYPE_CHECKING:
    from varan.block.backend import BlockBackend
    from varan.machine.machine import Machine


class MachineEnds:
    """Look-ups by id. Each raises VaranError when there is none."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.secrets = Secrets()
        """Passwords and keys that images and servers name."""
        self.throttle_groups: dict[str, ThrottleGroup] = {}
        """Limits that several disks share."""

    def find_chardev(self, id: str) -> Chardev:
        """A character device."""
        return self._machine.find_chardev(id)

    def find_drive(self, id: str) -> BlockBackend:
        """A block back end: a drive's, or one for the block node of that name."""
        return self._machine.drives.find(id)

    def empty_drive(self) -> BlockBackend:
        """A block back end without a medium, for media to come."""
        return self._machine.drives.empty()

    def drives_of(self, devices: Collection[Any]) -> list[str]:
        """The names of the drives that these devices use."""
        return [name for name, backend in self._machine.drives.backends.items() if backend.device in devices]

    async def remove_drive(self, name: str) -> None:
        """Close a drive. Raises VaranError when its medium cannot be flushed."""
        await self._machine.drives.remove(name)

    def find_netdev(self, id: str) -> Netdev:
        """A network back end."""
        return self._machine.network.find(id)

    @property
    def network(self) -> Network:
        """The machine's network."""
        return self._machine.network

    def find_object(self, id: str) -> Any:
        """A user-made object."""
        found = self._machine.tree.objects.children.get(id)
        if found is None:
            raise VaranError(f"there is no object '{id}'")
        return found

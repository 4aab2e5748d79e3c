"""A device with a tray, which remembers what it was told."""

from __future__ import annotations

from varan.block.backend import BlockBackend
from varan.devices.pluggable import PluggableDevice


class TrayDevice(PluggableDevice):
    """See the module's text. A test moves the tray and the lock as the guest would."""

    def __init__(self, id: str | None, *, has_tray: bool = True) -> None:
        super().__init__(id)
        self.has_tray = has_tray
        self.tray_open = False
        self.locked = False
        self.told: list[str] = []

    def use(self, backend: BlockBackend, *, write: bool = False) -> None:
        """Become the user of a back end."""
        backend.attach(f"device '{self.id}'", write=write, device=self, removable=self)

    def eject_requested(self, force: bool) -> None:
        self.told.append("eject, forced" if force else "eject")
        if force:
            self.locked = False

    def set_loaded(self, loaded: bool) -> None:
        self.told.append("load" if loaded else "unload")
        self.tray_open = self.has_tray and not loaded

"""`ide-hd` and `ide-cd`: drives on an IDE bus, over block back ends."""

from __future__ import annotations

from typing import Any, ClassVar

from varan.api.values import BlockdevOnError
from varan.block.backend import BlockBackend
from varan.block.base import BlockError
from varan.core.properties import Property
from varan.core.state import Device
from varan.devices.accounting import ACCOUNTING
from varan.devices.bootindex import BOOTINDEX
from varan.devices.environment import Environment
from varan.devices.ide import registers as r
from varan.devices.ide.ata import AtaDisk
from varan.devices.ide.atapi import AtapiDrive
from varan.devices.ide.bus import UNITS, IdeBus
from varan.devices.ide.drive import IdeDrive
from varan.devices.ide.identify import FIRMWARE, DiskIdentity, Labels
from varan.devices.pluggable import PluggableDevice
from varan.errors import GenericError

_ON_ERROR = tuple(policy.value for policy in BlockdevOnError)
LONGEST_SERIAL, LONGEST_MODEL, LONGEST_REVISION = 20, 40, 8
LARGEST_PHYSICAL = 2 << 20


_FREE = 0xFFFFFFFF
"""Setting's value: the first unit that is free."""


class IdeDevice(PluggableDevice):
    """What both kinds have in common."""

    type_name = "ide-device"
    bus_type = "IDE"
    hotpluggable = False
    properties: ClassVar[tuple[Property, ...]] = (
        Property("unit", "uint32", "0 or 1, the first that is free unless given", default=_FREE),
        Property("drive", "str", "Node name or ID of a block device to use as a backend", default=""),
        BOOTINDEX,
        Property("serial", "str", f"serial number, up to {LONGEST_SERIAL} characters", default=""),
        Property("ver", "str", f"firmware revision, up to {LONGEST_REVISION} characters", default=FIRMWARE),
        Property("model", "str", f"name of the model, up to {LONGEST_MODEL} characters", default=""),
        Property("wwn", "uint64", "World Wide Name, 0 for none", default=0),
        Property("write-cache", "OnOffAuto", "write cache at reset", default="auto", choices=("on", "off", "auto")),
        Property("rerror", "BlockdevOnError", "what to do about reads that fail", default="auto", choices=_ON_ERROR),
        Property("werror", "BlockdevOnError", "what to do about writes that fail", default="auto", choices=_ON_ERROR),
        *ACCOUNTING,
        Property("share-rw", "bool", "others may write the image, too", default=False),
    )
    default_model: ClassVar[str] = ""
    core: IdeDrive[Any]
    _backend: BlockBackend | None = None

    @property
    def firmware_name(self) -> str:
        return f"drive@{self.core.channel.number:x}/disk@{self.settings['unit']:x}"

    async def acquire(self, environment: Environment) -> None:
        await super().acquire(environment)
        backend = self.choose_backend(environment)
        self.check_settings(backend)
        if self.settings["write-cache"] != "auto":
            backend.writeback = self.settings["write-cache"] == "on"
        try:
            self.attach(backend, f"device '{self.id}'" if self.id else f"an {self.type_name}")
        except BlockError as error:
            raise GenericError(str(error)) from None
        given = self.settings
        backend.statistics.follow(given["account-invalid"], given["account-failed"])
        backend.policy = backend.policy.but(BlockdevOnError(given["rerror"]), BlockdevOnError(given["werror"]))
        self._backend = backend

    def choose_backend(self, environment: Environment) -> BlockBackend:
        """The back end that the settings name. Raises GenericError."""
        raise NotImplementedError

    def attach(self, backend: BlockBackend, user: str) -> None:
        """Become its user. Raises BlockError."""
        raise NotImplementedError

    def make_core(self, environment: Environment, labels: Labels) -> IdeDrive[Any]:
        """The drive itself."""
        raise NotImplementedError

    def check_settings(self, backend: BlockBackend) -> None:
        """Raise GenericError for what a drive cannot have."""
        for name, longest in (("serial", LONGEST_SERIAL), ("model", LONGEST_MODEL), ("ver", LONGEST_REVISION)):
            if len(self.settings[name]) > longest:
                raise GenericError(f"{name} has up to {longest} characters")

    @property
    def backend(self) -> BlockBackend:
        """Its back end, once it has been acquired."""
        assert self._backend is not None
        return self._backend

    def _choose_unit(self, bus: IdeBus) -> int:
        drives = bus.channel.drives
        unit: int = self.settings["unit"]
        if unit == _FREE:
            unit = 0 if drives[0] is None else 1
        if unit >= UNITS:
            raise GenericError(f"Can't create IDE unit {unit}, bus supports only {UNITS} units")
        if drives[unit] is not None:
            raise GenericError(f"IDE unit {unit} is in use")
        return unit

    def realize(self, environment: Environment, bus: Any) -> None:
        channel, unit, given = bus.channel, self._choose_unit(bus), self.settings
        number = channel.number * UNITS + unit + 1
        serial = given["serial"] or self.backend.serial or f"VR{number:05}"
        model = given["model"] or self.default_model
        self.settings = {**given, "serial": serial, "unit": unit}
        self.core = self.make_core(environment, Labels(serial, given["ver"], model, given["wwn"]))
        self.core.channel = channel
        channel.drives[unit] = self.core
        environment.resumed.append(self._resume)
        self._environment = environment

    def _resume(self) -> None:
        with self._environment.lock:
            self.core.resume()

    def unrealize(self) -> None:
        self.core.channel.drives[self.settings["unit"]] = None
        self._environment.resumed.remove(self._resume)

    async def release(self) -> None:
        backend, self._backend = self._backend, None
        try:
            if backend is not None:
                await backend.detach()
        finally:
            await super().release()

    def parts(self) -> dict[str, Device[Any]]:
        return {"drive": self.core}


class IdeHd(IdeDevice):
    """A disk."""

    type_name = "ide-hd"
    abstract = False
    description = "IDE disk"
    default_model = "VARAN HARDDISK"
    properties = (
        Property("logical_block_size", "size", "smallest unit of requests: 512", default=r.SECTOR),
        Property("physical_block_size", "size", "unit that the disk writes well", default=r.SECTOR),
        Property("cyls", "uint32", "cylinders, 0 to guess", default=0),
        Property("heads", "uint32", "heads, 0 to guess", default=0),
        Property("secs", "uint32", "sectors of a track, 0 to guess", default=0),
        Property("rotation_rate", "uint16", "revolutions a minute, 1 for none, 0 to say nothing", default=0),
    )

    def choose_backend(self, environment: Environment) -> BlockBackend:
        backend: BlockBackend | None = self.find_end(environment, "drive")
        if backend is None:
            raise GenericError("No drive specified")
        if not backend.present:
            raise GenericError("Device needs media, but drive is empty")
        if backend.read_only:
            raise GenericError("Block node is read-only")
        return backend

    def check_settings(self, backend: BlockBackend) -> None:
        super().check_settings(backend)
        given = self.settings
        physical = given["physical_block_size"]
        if given["logical_block_size"] != r.SECTOR:
            raise GenericError("logical_block_size must be 512 for IDE")
        if physical & (physical - 1) or not r.SECTOR <= physical <= LARGEST_PHYSICAL:
            raise GenericError(f"physical_block_size is a power of two from 512 to {LARGEST_PHYSICAL}, not {physical}")
        for name, most in (("cyls", 65535), ("heads", 16), ("secs", 255)):
            if given[name] > most:
                raise GenericError(f"{name} must be between 1 and {most}")

    def attach(self, backend: BlockBackend, user: str) -> None:
        backend.attach(user, write=True, share_write=self.settings["share-rw"], device=self)

    def make_core(self, environment: Environment, labels: Labels) -> AtaDisk:
        given, sectors = self.settings, self.backend.length // r.SECTOR
        guess = min(max(sectors // (16 * 63), 2), 16383), 16, 63
        cylinders, heads, track = (given[name] or guess[at] for at, name in enumerate(("cyls", "heads", "secs")))
        identity = DiskIdentity(
            labels,
            sectors,
            cylinders,
            heads,
            track,
            (given["physical_block_size"] // r.SECTOR).bit_length() - 1,
            given["rotation_rate"],
        )
        return AtaDisk(self.backend, identity, lock=environment.lock, post=environment.post)


class IdeCd(IdeDevice):
    """An optical drive, with a medium or without."""

    type_name = "ide-cd"
    abstract = False
    description = "IDE optical drive"
    default_model = "VARAN DVD-ROM"
    core: AtapiDrive

    def choose_backend(self, environment: Environment) -> BlockBackend:
        backend: BlockBackend = self.find_end(environment, "drive") or environment.ends.empty_drive()
        return backend

    def attach(self, backend: BlockBackend, user: str) -> None:
        backend.attach(user, write=False, share_write=self.settings["share-rw"], device=self)

    def make_core(self, environment: Environment, labels: Labels) -> AtapiDrive:
        core = AtapiDrive(self.backend, labels, lock=environment.lock, post=environment.post)
        self.backend.removable = core
        return core

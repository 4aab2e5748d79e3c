"""`floppy`: a floppy disk drive."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from varan.block import drive
from varan.block.backend import BlockBackend
from varan.block.base import BlockError
from varan.core.properties import Property
from varan.devices.accounting import ACCOUNTING
from varan.devices.environment import Environment
from varan.devices.floppy.geometry import SECTOR, Format, drive_for, find_format
from varan.devices.floppy.isa_fdc import KINDS, UNITS, FloppyBus
from varan.devices.pluggable import PluggableDevice
from varan.errors import GenericError

_FIRST_FREE = 0xFFFFFFFF

log = logging.getLogger("varan.block")


class Floppy(PluggableDevice):
    """A drive on the cable of a floppy disk controller. Disks come and go."""

    type_name = "floppy"
    abstract = False
    description = "floppy disk drive"
    bus_type = "floppy-bus"
    hotpluggable = False
    properties = (
        Property("unit", "uint32", "which of the two drives; the first that is free unless given", default=_FIRST_FREE),
        Property("drive", "str", "Node name or ID of a block device to use as a backend", default=""),
        Property(
            "drive-type", "FdcDriveType", "kind of drive; by the disk unless given", default="auto", choices=KINDS
        ),
        Property("logical_block_size", "size", "512: there is no other", default=SECTOR),
        Property("physical_block_size", "size", "512: there is no other", default=SECTOR),
        *ACCOUNTING,
        Property("share-rw", "bool", "others may write the image, too", default=False),
    )
    _backend: BlockBackend
    _answering = False
    """Whether the controller is being answered, on the loop."""

    # As the user's device

    async def acquire(self, environment: Environment) -> None:
        given = self.settings
        if given["logical_block_size"] > given["physical_block_size"]:
            raise GenericError("logical_block_size > physical_block_size not supported")
        if (given["logical_block_size"], given["physical_block_size"]) != (SECTOR, SECTOR):
            raise GenericError("Physical and logical block size must be 512 for floppy")
        backend: BlockBackend = self.find_end(environment, "drive") or environment.ends.empty_drive()
        try:
            user = f"device '{self.id}'" if self.id else "a floppy"
            backend.attach(user, write=True, share_write=given["share-rw"], device=self, removable=self)
        except BlockError as error:
            raise GenericError(str(error)) from None
        backend.statistics.follow(given["account-invalid"], given["account-failed"])
        self._backend = backend

    def realize(self, environment: Environment, bus: FloppyBus) -> None:
        controller = self._controller = bus.controller
        self._fdc = controller.core
        unit = self._choose_unit()
        kind = self.settings["drive-type"]
        if kind == "auto":
            length = self._backend.length
            fallback = controller.settings["fallback"]
            kind = drive_for(length, fallback) if length else fallback
        self.settings = {**self.settings, "unit": unit, "drive-type": kind}
        self._environment = environment
        self._fdc.mechanisms[unit] = controller.drives[unit] = self
        controller.on_drives()

    def _choose_unit(self) -> int:
        unit: int = self.settings["unit"]
        taken = self._fdc.mechanisms
        if unit == _FIRST_FREE:
            unit = next(number for number in range(UNITS + 1) if number not in taken)
        if unit >= UNITS:
            raise GenericError(f"Can't create floppy unit {unit}, bus supports only {UNITS} units")
        if unit in taken:
            raise GenericError(f"Floppy unit {unit} is in use")
        return unit

    def unrealize(self) -> None:
        unit = self.settings["unit"]
        del self._fdc.mechanisms[unit], self._controller.drives[unit]
        self._controller.on_drives()

    async def release(self) -> None:
        await self._backend.detach()

    @property
    def kind(self) -> str:
        """The kind of drive."""
        kind: str = self.settings["drive-type"]
        return kind

    # As whose disks come and go (`varan.block.medium.Removable`)

    has_tray = tray_open = locked = False

    def eject_requested(self, force: bool) -> None:
        return

    def set_loaded(self, loaded: bool) -> None:
        self._fdc.disk_changed(self.settings["unit"])

    # As the controller's drive (`varan.devices.floppy.fdc.Mechanism`)

    @property
    def present(self) -> bool:
        return self._backend.present and self.kind != "none"

    @property
    def read_only(self) -> bool:
        return self._backend.read_only

    @property
    def format(self) -> Format:
        kind = "288" if self.kind == "none" else self.kind
        return find_format(self._backend.length, kind)

    def read(self, offset: int, length: int, done: Callable[[bytes | None], None]) -> None:
        buffer = bytearray(length)
        buffers = [memoryview(buffer)]
        if self._backend.read_now(offset, buffers):
            done(bytes(buffer))
            return
        self._later(lambda: self._backend.read(offset, buffers), lambda good: done(bytes(buffer) if good else None))

    def write(self, offset: int, data: bytes, done: Callable[[bool], None]) -> None:
        buffers = [memoryview(data)]
        if self._backend.write_now(offset, buffers):
            done(True)
            return
        # There is no cache to flush: what a disk has taken is on it.
        self._later(lambda: self._backend.write(offset, buffers, stable=not self._backend.writeback), done)

    def _later(self, work: Callable[[], Coroutine[Any, Any, None]], done: Callable[[bool], None]) -> None:
        if self._answering:
            # A machine that stops waits for what is under way: what follows from an answer begins before anybody looks.
            self._start(work, done)
        else:
            self._environment.post(lambda: self._start(work, done))

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]], done: Callable[[bool], None]) -> None:
        drive.start(self._run(work, done))

    async def _run(self, work: Callable[[], Coroutine[Any, Any, None]], done: Callable[[bool], None]) -> None:
        good = False
        try:
            await work()
            good = True
        except BlockError as error:
            log.info("drive '%s': %s", self._backend.name, error)
        except Exception:
            log.exception("a request to drive '%s' failed", self._backend.name)
        with self._environment.lock:
            outer, self._answering = self._answering, True
            try:
                done(good)
            finally:
                self._answering = outer

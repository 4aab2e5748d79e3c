"""Virtio disks as types of `-device`."""

from __future__ import annotations

from varan.api.values import BlockdevOnError
from varan.block.backend import BlockBackend
from varan.block.base import BlockError
from varan.core.properties import Property
from varan.devices.accounting import ACCOUNTING
from varan.devices.backends.iothread import IoThread
from varan.devices.bootindex import BOOTINDEX
from varan.devices.environment import Environment
from varan.devices.virtio import blk_layout as b
from varan.devices.virtio.backend import VirtioBackend
from varan.devices.virtio.blk import VirtioBlk
from varan.devices.virtio.chain import MOST_BUFFERS
from varan.devices.virtio.pci import VirtioPciDevice
from varan.errors import GenericError

LARGEST_BLOCK = 2 << 20
MOST_QUEUES = 64
_SEG_MAX = 126
_ON_ERROR = tuple(policy.value for policy in BlockdevOnError)
_AUTO = 0xFFFFFFFF
"""Setting's value: what fits."""


class VirtioBlkDevice(VirtioBackend):
    """A disk over a block back end."""

    type_name = "virtio-blk-device"
    abstract = False
    description = "virtio disk, on a virtio bus"
    properties = (
        Property("drive", "str", "Node name or ID of a block device to use as a backend", default=""),
        BOOTINDEX,
        Property("serial", "str", "serial number, up to 20 bytes", default=""),
        Property("logical_block_size", "size", "smallest unit of requests", default=b.SECTOR),
        Property("physical_block_size", "size", "unit that the disk writes well", default=b.SECTOR),
        Property("min_io_size", "size", "smallest request that is done well", default=0),
        Property("opt_io_size", "size", "size of requests that are done best", default=0),
        Property("discard_granularity", "size", "unit of what can be discarded", default=_AUTO),
        Property("write-cache", "OnOffAuto", "write cache at reset", default="auto", choices=("on", "off", "auto")),
        Property("rerror", "BlockdevOnError", "what to do about reads that fail", default="auto", choices=_ON_ERROR),
        Property("werror", "BlockdevOnError", "what to do about writes that fail", default="auto", choices=_ON_ERROR),
        *ACCOUNTING,
        Property("share-rw", "bool", "others may write the image, too", default=False),
        Property("cyls", "uint32", "cylinders, 0 to guess", default=0),
        Property("heads", "uint32", "heads, 0 to guess", default=0),
        Property("secs", "uint32", "sectors of a track, 0 to guess", default=0),
        Property("num-queues", "uint16", "request queues", default=1),
        Property("queue-size", "uint16", "entries of each queue, a power of two", default=256),
        Property("discard", "bool", "offer discards", default=True),
        Property("write-zeroes", "bool", "offer the writing of zeroes", default=True),
        Property("config-wce", "bool", "the guest may switch the write cache", default=True),
        Property("max-discard-sectors", "uint32", "most that is discarded at once", default=b.MOST_SECTORS),
        Property("max-write-zeroes-sectors", "uint32", "most that is zeroed at once", default=b.MOST_SECTORS),
        Property("report-discard-granularity", "bool", "tell the guest of discard_granularity", default=True),
        Property("request-merging", "bool", "do requests to neighbouring sectors as one", default=True),
        Property("seg-max-adjust", "bool", "as many buffers a request as the queue takes, not 126", default=True),
        Property(
            "iothread",
            "link<iothread>",
            "ID of an iothread that takes requests from the queues",
            default="",
            setting=True,
            read=lambda disk: f"/objects/{disk.settings['iothread']}" if disk.settings["iothread"] else "",
        ),
        Property("scsi", "bool", "not available: SCSI commands went with VIRTIO 1.0", default=False),
    )
    core: VirtioBlk
    _backend: BlockBackend | None = None
    _thread: IoThread | None = None

    async def acquire(self, environment: Environment) -> None:
        await super().acquire(environment)
        backend: BlockBackend | None = self.find_end(environment, "drive")
        if backend is None:
            raise GenericError("drive property not set")
        thread = self.find_end(environment, "iothread", "object")
        if thread is not None and not isinstance(thread, IoThread):
            raise GenericError(f"Invalid parameter type for 'iothread', expected: {IoThread.type_name}")
        self._check_settings()
        if not backend.present:
            raise GenericError(
                f"{self.asked_for.type_name}: drive '{backend.name}' has no medium, and this disk needs one"
            )
        try:
            device = self.asked_for
            user = f"device '{device.id}'" if device.id else f"a {device.type_name}"
            share = self.settings["share-rw"]
            backend.attach(user, write=not backend.read_only, share_write=share, device=self)
        except BlockError as error:
            raise GenericError(str(error)) from None
        self._backend, self._thread = backend, thread
        if thread is not None:
            thread.users += 1

    @property
    def firmware_name(self) -> str:
        return "disk@0,0"

    def _check_settings(self) -> None:
        """Raises GenericError for sizes that a disk cannot have."""
        given = self.settings
        logical, physical = given["logical_block_size"], given["physical_block_size"]
        for name, size in (("logical_block_size", logical), ("physical_block_size", physical)):
            if size & (size - 1) or not b.SECTOR <= size <= LARGEST_BLOCK:
                raise GenericError(f"{name} is a power of two from {b.SECTOR} to {LARGEST_BLOCK}, not {size}")
        if physical < logical:
            raise GenericError("physical_block_size is at least logical_block_size")
        if given["min_io_size"] % logical or given["min_io_size"] // logical > 0xFFFF:
            raise GenericError("min_io_size is a multiple of logical_block_size, up to 65535 of them")
        if given["opt_io_size"] % logical or given["opt_io_size"] // logical > 0xFFFFFFFF:
            raise GenericError("opt_io_size is a multiple of logical_block_size, up to 4294967295 of them")
        if given["cyls"] > 65535 or given["heads"] > 255 or given["secs"] > 255:
            raise GenericError("a disk has up to 65535 cylinders, 255 heads and 255 sectors of a track")
        if not 1 <= given["num-queues"] <= MOST_QUEUES:
            raise GenericError(f"num-queues is from 1 to {MOST_QUEUES}")
        granularity = given["discard_granularity"]
        if granularity != _AUTO and granularity % logical:
            raise GenericError("discard_granularity is a multiple of logical_block_size")
        for name in ("max-discard-sectors", "max-write-zeroes-sectors"):
            if not 1 <= given[name] <= b.MOST_SECTORS:
                raise GenericError(f"{name} is from 1 to {b.MOST_SECTORS}, not {given[name]}")
        if given["scsi"]:
            raise GenericError("Please set scsi=off for virtio-blk devices in order to use virtio 1.0")
        size = given["queue-size"]
        if size & (size - 1) or not 4 <= size <= MOST_BUFFERS:
            raise GenericError(f"queue-size is a power of two from 4 to {MOST_BUFFERS}")

    def make_core(self, environment: Environment) -> VirtioBlk:
        given, backend = self.settings, self._backend
        assert backend is not None
        if given["write-cache"] != "auto":
            backend.writeback = given["write-cache"] == "on"
        backend.statistics.follow(given["account-invalid"], given["account-failed"])
        backend.policy = backend.policy.but(BlockdevOnError(given["rerror"]), BlockdevOnError(given["werror"]))
        switches = {"discard": b.F_DISCARD, "write-zeroes": b.F_WRITE_ZEROES, "config-wce": b.F_CONFIG_WCE}
        granularity = given["discard_granularity"]
        if granularity == _AUTO or not given["report-discard-granularity"]:
            granularity = b.SECTOR
        return VirtioBlk(
            environment.memory,
            backend,
            lock=environment.lock,
            post=environment.post,
            shape=self._shape(backend),
            serial=given["serial"] or backend.serial,
            features=self.ring_features | sum(bit for name, bit in switches.items() if given[name]),
            queues=given["num-queues"],
            queue_size=given["queue-size"],
            seg_max=0 if given["seg-max-adjust"] else _SEG_MAX,
            discard_granularity=granularity,
            most_discarded=given["max-discard-sectors"],
            most_zeroed=given["max-write-zeroes-sectors"],
            merging=given["request-merging"],
            elsewhere=self._thread.post if self._thread is not None else None,
        )

    def _shape(self, backend: BlockBackend) -> b.DiskShape:
        given = self.settings
        guessed = b.geometry(backend.length)
        cylinders, heads, sectors = (
            given[name] or guess for name, guess in zip(("cyls", "heads", "secs"), guessed, strict=True)
        )
        return b.DiskShape(
            given["logical_block_size"],
            given["physical_block_size"],
            given["min_io_size"],
            given["opt_io_size"],
            cylinders,
            heads,
            sectors,
        )

    async def release(self) -> None:
        backend, self._backend = self._backend, None
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.users -= 1
        try:
            if backend is not None:
                await backend.detach()
        finally:
            await super().release()


class VirtioBlkPci(VirtioPciDevice):
    """A disk on PCI."""

    type_name = "virtio-blk-pci"
    abstract = False
    description = "virtio disk"
    class_code = 0x010000
    transitional_id = 0x1001
    backend_type = VirtioBlkDevice


class VirtioBlkPciTransitional(VirtioBlkPci):
    """The same thing by its exact name."""

    type_name = "virtio-blk-pci-transitional"


class VirtioBlkPciNonTransitional(VirtioBlkPci):
    """Without the legacy interface."""

    type_name = "virtio-blk-pci-non-transitional"
    modern_only = True

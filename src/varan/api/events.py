"""The events of the machine protocol.

Generated from a schema by `varan qapi generate`: change the schema, not this file.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import UNSET, Struct, UnsetType, field

from .values import (
    BlockErrorAction,
    GuestPanicAction,
    Int64,
    IoOperationType,
    JobStatus,
    JobType,
    ShutdownCause,
    UInt64,
    WatchdogAction,
)


class Event(Struct, omit_defaults=True):
    """Something that happened to the machine; the fields are the members of "data"."""

    NAME: ClassVar[str]


class Watchdog(Event, kw_only=True):
    """A watchdog ran out. It comes before what the action does."""

    NAME: ClassVar[str] = "WATCHDOG"
    action: WatchdogAction
    """what happens now"""


class GuestPanicked(Event, kw_only=True):
    """The guest reported that it crashed."""

    NAME: ClassVar[str] = "GUEST_PANICKED"
    action: GuestPanicAction
    """what is done about it"""


class GuestCrashloaded(Event, kw_only=True):
    """The guest reported that it crashed and deals with that itself (it has loaded a kernel that saves its
    memory, for instance).
    """

    NAME: ClassVar[str] = "GUEST_CRASHLOADED"
    action: GuestPanicAction
    """always "run" """


class Shutdown(Event, kw_only=True):
    """The machine has shut down, or is about to end. With the shutdown action "pause" a guest's shutdown
    leaves the machine in run state "shutdown".
    """

    NAME: ClassVar[str] = "SHUTDOWN"
    guest: bool
    """whether the guest did it (since 2.10)"""
    reason: ShutdownCause
    """what did it (since 4.0)"""


class Reset(Event, kw_only=True):
    """The machine was reset."""

    NAME: ClassVar[str] = "RESET"
    guest: bool
    """whether the guest did it (since 2.10)"""
    reason: ShutdownCause
    """what did it (since 4.0)"""


class Stop(Event, kw_only=True):
    """The guest has ceased to execute."""

    NAME: ClassVar[str] = "STOP"


class Resume(Event, kw_only=True):
    """The guest executes, for the first time or again."""

    NAME: ClassVar[str] = "RESUME"


class Powerdown(Event, kw_only=True):
    """The power button was pressed."""

    NAME: ClassVar[str] = "POWERDOWN"


class Suspend(Event, kw_only=True):
    """The guest has gone to sleep: its memory is kept, nothing executes until something wakes it."""

    NAME: ClassVar[str] = "SUSPEND"


class SuspendDisk(Event, kw_only=True):
    """The guest has saved its memory on a disk of its own and powers the machine off. SHUTDOWN follows."""

    NAME: ClassVar[str] = "SUSPEND_DISK"


class Wakeup(Event, kw_only=True):
    """The guest has been woken from its sleep."""

    NAME: ClassVar[str] = "WAKEUP"


class BalloonChange(Event, kw_only=True):
    """The guest has changed the size of its balloon. At most one comes in a second, the last one of it in any
    case.
    """

    NAME: ClassVar[str] = "BALLOON_CHANGE"
    actual: Int64
    """bytes that the guest has, those in the balloon left out"""


class VserportChange(Event, kw_only=True):
    """A program in the guest has opened or closed a port of a virtio serial device. Of one port at most one
    comes in a second, the last one of it in any case.
    """

    NAME: ClassVar[str] = "VSERPORT_CHANGE"
    id: str
    """the port's device"""
    open: bool
    """whether it is open now"""


class DeviceDeleted(Event, kw_only=True):
    """A device is gone. Its id may be used again."""

    NAME: ClassVar[str] = "DEVICE_DELETED"
    device: str | UnsetType = UNSET
    """what it was called; absent when it had no id"""
    path: str
    """where it was in the object tree"""


class DeviceUnplugGuestError(Event, kw_only=True):
    """The guest was asked to let a device go and will not."""

    NAME: ClassVar[str] = "DEVICE_UNPLUG_GUEST_ERROR"
    device: str | UnsetType = UNSET
    """what the device is called; absent when it has no id"""
    path: str
    """where it is in the object tree"""


class NicRxFilterChanged(Event, kw_only=True):
    """A guest has changed which frames its adapter passes. It comes once, then not again before query-rx-
    filter has asked.
    """

    NAME: ClassVar[str] = "NIC_RX_FILTER_CHANGED"
    name: str | UnsetType = UNSET
    """the adapter's id, when it has one"""
    path: str
    """its path in the object tree"""


class JobStatusChange(Event, kw_only=True):
    """A job has come to another status."""

    NAME: ClassVar[str] = "JOB_STATUS_CHANGE"
    id: str
    """the job"""
    status: JobStatus
    """its status now"""


class BlockJobCompleted(Event, kw_only=True):
    """A block job has ended, well or by an error."""

    NAME: ClassVar[str] = "BLOCK_JOB_COMPLETED"
    type: JobType
    """what it did"""
    device: str
    """its id"""
    len: Int64
    """how much there was to do"""
    offset: Int64
    """how much was done"""
    speed: Int64
    """its limit in bytes per second"""
    error: str | UnsetType = UNSET
    """why it failed; absent when it did not"""


class BlockJobCancelled(Event, kw_only=True):
    """A block job has ended because it was cancelled."""

    NAME: ClassVar[str] = "BLOCK_JOB_CANCELLED"
    type: JobType
    """what it did"""
    device: str
    """its id"""
    len: Int64
    """how much there was to do"""
    offset: Int64
    """how much was done"""
    speed: Int64
    """its limit in bytes per second"""


class BlockJobError(Event, kw_only=True):
    """A block job could not read or write."""

    NAME: ClassVar[str] = "BLOCK_JOB_ERROR"
    device: str
    """its id"""
    operation: IoOperationType
    """which of the two"""
    action: BlockErrorAction
    """what it does about it"""


class BlockJobReady(Event, kw_only=True):
    """A block job can be completed from now on."""

    NAME: ClassVar[str] = "BLOCK_JOB_READY"
    type: JobType
    """what it does"""
    device: str
    """its id"""
    len: Int64
    """how much there is to do"""
    offset: Int64
    """how much is done"""
    speed: Int64
    """its limit in bytes per second"""


class BlockJobPending(Event, kw_only=True):
    """A block job waits for finalization."""

    NAME: ClassVar[str] = "BLOCK_JOB_PENDING"
    type: JobType
    """what it does"""
    id: str
    """the job"""


class BlockIoError(Event, kw_only=True):
    """A request of the guest to a disk failed."""

    NAME: ClassVar[str] = "BLOCK_IO_ERROR"
    device: str
    """the drive's id, empty for a device that names a block node"""
    node_name: str | UnsetType = field(default=UNSET, name="node-name")
    """the block node that the device uses (since 2.8)"""
    operation: IoOperationType
    """whether it was a read; flushes and discards count as writes"""
    action: BlockErrorAction
    """what was done about it; after `stop` the event STOP follows, and `cont` tries the request again"""
    nospace: bool | UnsetType = UNSET
    """whether it failed for want of space; absent where no error makes the machine stop (since 2.2)"""
    reason: str
    """what went wrong, for people (since 2.2)"""


class DeviceTrayMoved(Event, kw_only=True):
    """The tray of a device with a removable medium has moved, because the guest or a user wanted it."""

    NAME: ClassVar[str] = "DEVICE_TRAY_MOVED"
    device: str
    """the drive's name, empty for a device without a named one"""
    id: str
    """the device's id, or its path when it has none (since 2.8)"""
    tray_open: bool = field(name="tray-open")
    """whether the tray is open now"""


class BlockWriteThreshold(Event, kw_only=True):
    """A write to a block node ends behind its threshold, which counts no more."""

    NAME: ClassVar[str] = "BLOCK_WRITE_THRESHOLD"
    node_name: str = field(name="node-name")
    """the node"""
    amount_exceeded: UInt64 = field(name="amount-exceeded")
    """bytes of the write behind the threshold"""
    write_threshold: UInt64 = field(name="write-threshold")
    """the threshold"""


EVENTS: dict[str, type[Event]] = {
    "WATCHDOG": Watchdog,
    "GUEST_PANICKED": GuestPanicked,
    "GUEST_CRASHLOADED": GuestCrashloaded,
    "SHUTDOWN": Shutdown,
    "RESET": Reset,
    "STOP": Stop,
    "RESUME": Resume,
    "POWERDOWN": Powerdown,
    "SUSPEND": Suspend,
    "SUSPEND_DISK": SuspendDisk,
    "WAKEUP": Wakeup,
    "BALLOON_CHANGE": BalloonChange,
    "VSERPORT_CHANGE": VserportChange,
    "DEVICE_DELETED": DeviceDeleted,
    "DEVICE_UNPLUG_GUEST_ERROR": DeviceUnplugGuestError,
    "NIC_RX_FILTER_CHANGED": NicRxFilterChanged,
    "JOB_STATUS_CHANGE": JobStatusChange,
    "BLOCK_JOB_COMPLETED": BlockJobCompleted,
    "BLOCK_JOB_CANCELLED": BlockJobCancelled,
    "BLOCK_JOB_ERROR": BlockJobError,
    "BLOCK_JOB_READY": BlockJobReady,
    "BLOCK_JOB_PENDING": BlockJobPending,
    "BLOCK_IO_ERROR": BlockIoError,
    "DEVICE_TRAY_MOVED": DeviceTrayMoved,
    "BLOCK_WRITE_THRESHOLD": BlockWriteThreshold,
}

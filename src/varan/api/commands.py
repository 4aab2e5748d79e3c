"""The commands of the machine protocol.

Generated from a schema by `varan qapi generate`: change the schema, not this file.
"""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import UNSET, Struct, UnsetType, field

from .values import (
    AnnounceParameters,
    BalloonInfo,
    BlockDeviceInfo,
    BlockDirtyBitmap,
    BlockDirtyBitmapAdd,
    BlockDirtyBitmapMerge,
    BlockDirtyBitmapSha256,
    BlockIOThrottle,
    BlockInfo,
    BlockJobInfo,
    BlockStats,
    BlockdevBackup,
    BlockdevChangeReadOnlyMode,
    BlockdevOnError,
    ChardevBackendInfo,
    ChardevInfo,
    CommandInfo as CommandInfoValue,
    CommandLineOptionInfo,
    CpuDefinitionInfo,
    CpuInfo,
    CpuInfoFast,
    CpuModelExpansionInfo,
    CpuModelExpansionType,
    CpuModelInfo,
    CurrentMachineParams,
    DataFormat,
    DriveBackup,
    DriveMirror,
    HotpluggableCPU,
    IOThreadInfo,
    InputEvent,
    Int64,
    JobInfo,
    KeyValue,
    KvmInfo,
    MachineInfo,
    Memdev,
    MemoryInfo,
    MirrorCopyMode,
    MirrorSyncMode,
    MouseInfo,
    NameInfo,
    Netdev,
    NewImageMode,
    ObjectOptions,
    ObjectPropertyInfo,
    ObjectTypeInfo,
    PanicAction,
    PciInfo,
    QMPCapability,
    RebootAction,
    RxFilterInfo,
    SchemaInfo,
    ShutdownAction,
    SnapshotInfo,
    StatusInfo,
    TargetInfo,
    TransactionAction,
    TransactionProperties,
    UInt32,
    UInt64,
    UuidInfo,
    VersionInfo,
    WatchdogAction,
    XDbgBlockGraph,
)


class CommandInfo(Struct, frozen=True):
    """What a dispatcher and a client need to know of a command."""

    name: str
    function: str
    """The name as Python's."""
    arguments: Any = None
    """The type that "arguments" is decoded to; None if there are none to decode."""
    returns: Any = None
    """The type of "return"; None for the empty object."""
    boxed: bool = False
    """The handler gets the arguments as one value, not as parameters."""
    raw: bool = False
    """The handler gets a dict: the schema does not list all members."""
    success_response: bool = True
    """Whether success is answered."""
    allow_oob: bool = False
    allow_preconfig: bool = False
    since: str | None = None
    """The protocol version that brought it."""
    removed: str | None = None
    """The first protocol version without it."""
    features: tuple[str, ...] = ()


class QmpCapabilitiesArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    enable: list[QMPCapability] | UnsetType = UNSET
    """which of the greeting's capabilities this session wants; none when absent (since 2.12)"""


class SetActionArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    reboot: RebootAction | UnsetType = UNSET
    """for a reset"""
    shutdown: ShutdownAction | UnsetType = UNSET
    """for a shutdown"""
    panic: PanicAction | UnsetType = UNSET
    """for a reported crash"""
    watchdog: WatchdogAction | UnsetType = UNSET
    """for a watchdog that ran out"""


class WatchdogSetActionArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    action: WatchdogAction
    """that"""


class CpuArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    index: Int64
    """a vCPU's number; it is not looked at"""


class MemsaveArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    val: Int64
    """the first virtual address; negative numbers stand for the upper half of the address space"""
    size: Int64
    """how many bytes"""
    filename: str
    """the file, seen from the machine's working directory"""
    cpu_index: Int64 | UnsetType = field(default=UNSET, name="cpu-index")
    """the vCPU whose page tables are meant (default: 0)"""


class PmemsaveArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    val: Int64
    """the first physical address"""
    size: Int64
    """how many bytes"""
    filename: str
    """the file, seen from the machine's working directory"""


class QueryCpuModelExpansionArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    type: CpuModelExpansionType
    """how"""
    model: CpuModelInfo
    """the model, with features that are chosen otherwise"""


class BalloonArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    value: Int64
    """bytes that the guest shall have; more than it was started with means all of them"""


class RingbufWriteArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """the ring buffer's id"""
    data: str
    """the bytes, in `format`"""
    format: DataFormat | UnsetType = UNSET
    """how the bytes are encoded (default: utf8)"""


class RingbufReadArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """the ring buffer's id"""
    size: Int64
    """how many bytes at most"""
    format: DataFormat | UnsetType = UNSET
    """how the bytes are to be encoded (default: utf8). In utf8, bytes that are no text are returned as
    U+FFFD, and a character that `size` would cut is returned whole
    """


class QomListArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    path: str
    """where the object is. A path that begins with a slash counts from the root; any other one is looked for
    in the whole tree and has to fit in one place only.
    """


class QomGetArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    path: str
    """where the object is; see "qom-list" """
    property: str
    """the property's name"""


class QomSetArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    path: str
    """where the object is; see "qom-list" """
    property: str
    """the property's name"""
    value: Any
    """the value, as the property's type has it in JSON"""


class QomListTypesArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    implements: str | UnsetType = UNSET
    """only types that derive from this one (or offer the interface of this name)"""
    abstract: bool | UnsetType = UNSET
    """abstract types too (default: false)"""


class QomListPropertiesArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    typename: str
    """the type"""


class ObjectDelArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """what it is called"""


class DeviceListPropertiesArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    typename: str
    """the type"""


class DeviceDelArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """what the device is called, or its path"""


class HumanMonitorCommandArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    command_line: str = field(name="command-line")
    """the line"""
    cpu_index: Int64 | UnsetType = field(default=UNSET, name="cpu-index")
    """the vCPU that the line means where it names none (default: 0)"""


class QueryCommandLineOptionsArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    option: str | UnsetType = UNSET
    """only this one"""


class SetLinkArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    name: str
    """id of the adapter or of the back end"""
    up: bool
    """true plugs it in"""


class NetdevDelArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """its name"""


class QueryRxFilterArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    name: str | UnsetType = UNSET
    """id of one adapter; all that can tell unless given"""


class JobPauseArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """the job"""


class JobResumeArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """the job"""


class JobCancelArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """the job"""


class JobCompleteArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """the job"""


class JobDismissArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """the job"""


class JobFinalizeArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """the job"""


class SendKeyArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    keys: list[KeyValue]
    """the keys"""
    hold_time: Int64 | UnsetType = field(default=UNSET, name="hold-time")
    """milliseconds of guest time for which they are held (default: 100)"""


class InputSendEventArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str | UnsetType = UNSET
    """the display whose devices are meant; a machine without displays has none"""
    head: Int64 | UnsetType = UNSET
    """which screen of it"""
    events: list[InputEvent]
    """what the user did"""


class BlockStreamArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    job_id: str | UnsetType = field(default=UNSET, name="job-id")
    """id of the job, the device's name unless given (since 2.7)"""
    device: str
    """device or node that is streamed into"""
    base: str | UnsetType = UNSET
    """file name of an image below that stays (since 1.1)"""
    base_node: str | UnsetType = field(default=UNSET, name="base-node")
    """node of that image (since 2.8)"""
    backing_file: str | UnsetType = field(default=UNSET, name="backing-file")
    """how the image is to name its new backing file, by default as the image that names it now does (since
    2.1)
    """
    bottom: str | UnsetType = UNSET
    """the lowest node that is copied from, instead of `base` or `base-node` (since 6.0)"""
    speed: Int64 | UnsetType = UNSET
    """limit in bytes per second, 0 for none (since 1.1)"""
    on_error: BlockdevOnError | UnsetType = field(default=UNSET, name="on-error")
    """what follows when an image cannot be read or written (since 1.3)"""
    filter_node_name: str | UnsetType = field(default=UNSET, name="filter-node-name")
    """name of the node that stands before the image meanwhile (since 6.0)"""
    auto_finalize: bool | UnsetType = field(default=UNSET, name="auto-finalize")
    """whether it takes the last step by itself, true unless given (since 3.1)"""
    auto_dismiss: bool | UnsetType = field(default=UNSET, name="auto-dismiss")
    """whether it is forgotten by itself, true unless given (since 3.1)"""


class BlockStreamFormerArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """device that is streamed into"""
    base: str | UnsetType = UNSET
    """file name of an image below that stays"""


class BlockCommitArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    job_id: str | UnsetType = field(default=UNSET, name="job-id")
    """id of the job, the device's name unless given (since 2.7)"""
    device: str
    """device or node whose chain this is"""
    base_node: str | UnsetType = field(default=UNSET, name="base-node")
    """node that is written to, by default the lowest (since 3.1)"""
    base: str | UnsetType = UNSET
    """file name of that image"""
    top_node: str | UnsetType = field(default=UNSET, name="top-node")
    """the uppermost node whose content is moved, by default the topmost of the chain (since 3.1)"""
    top: str | UnsetType = UNSET
    """file name of that image"""
    backing_file: str | UnsetType = field(default=UNSET, name="backing-file")
    """how the image above `top` is to name its new backing file (since 2.1)"""
    speed: Int64 | UnsetType = UNSET
    """limit in bytes per second, 0 for none"""
    on_error: BlockdevOnError | UnsetType = field(default=UNSET, name="on-error")
    """what follows when an image cannot be read or written (since 5.0)"""
    filter_node_name: str | UnsetType = field(default=UNSET, name="filter-node-name")
    """name of the node that stands before `top` meanwhile (since 2.9)"""
    auto_finalize: bool | UnsetType = field(default=UNSET, name="auto-finalize")
    """whether it takes the last step by itself, true unless given (since 3.1)"""
    auto_dismiss: bool | UnsetType = field(default=UNSET, name="auto-dismiss")
    """whether it is forgotten by itself, true unless given (since 3.1)"""


class BlockdevMirrorArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    job_id: str | UnsetType = field(default=UNSET, name="job-id")
    """id of the job, the device's name unless given (since 2.7)"""
    device: str
    """device or node that is mirrored"""
    target: str
    """node that is written"""
    replaces: str | UnsetType = UNSET
    """node that the mirror takes the place of, by default the device's topmost"""
    sync: MirrorSyncMode
    """which part is copied"""
    speed: Int64 | UnsetType = UNSET
    """limit in bytes per second, 0 for none"""
    granularity: UInt32 | UnsetType = UNSET
    """bytes that are copied as one where they were written to, a power of two"""
    buf_size: Int64 | UnsetType = field(default=UNSET, name="buf-size")
    """memory for data on their way, in bytes"""
    on_source_error: BlockdevOnError | UnsetType = field(default=UNSET, name="on-source-error")
    """what follows when the device cannot be read"""
    on_target_error: BlockdevOnError | UnsetType = field(default=UNSET, name="on-target-error")
    """what follows when the node cannot be written"""
    filter_node_name: str | UnsetType = field(default=UNSET, name="filter-node-name")
    """name of the node that stands before the device's topmost meanwhile (since 2.9)"""
    copy_mode: MirrorCopyMode | UnsetType = field(default=UNSET, name="copy-mode")
    """when writes reach the mirror, `background` unless given (since 3.0)"""
    auto_finalize: bool | UnsetType = field(default=UNSET, name="auto-finalize")
    """whether it takes the last step by itself, true unless given (since 3.1)"""
    auto_dismiss: bool | UnsetType = field(default=UNSET, name="auto-dismiss")
    """whether it is forgotten by itself, true unless given (since 3.1)"""


class BlockJobSetSpeedArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """the job"""
    speed: Int64
    """limit in bytes per second, 0 for none"""


class BlockJobSetSpeedFormerArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """the job"""
    value: Int64
    """limit in bytes per second, 0 for none"""


class BlockJobCancelArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """the job"""
    force: bool | UnsetType = UNSET
    """end it without result, also when it is paused (since 1.3)"""


class BlockJobCancelFormerArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """the job"""


class BlockJobPauseArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """the job"""


class BlockJobResumeArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """the job"""


class BlockJobCompleteArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """the job"""


class BlockJobDismissArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """the job"""


class BlockJobFinalizeArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """the job"""


class BlockdevDelArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    node_name: str = field(name="node-name")
    """the node"""


class BlockdevReopenArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    options: list[Any]
    """for each node its driver, its name and all of its options, as `blockdev-add` takes them; others than
    those named above must be as they are
    """


class BlockResizeArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str | UnsetType = UNSET
    """the drive"""
    node_name: str | UnsetType = field(default=UNSET, name="node-name")
    """the block node, where no drive is named (since 2.0)"""
    size: Int64
    """in bytes"""


class EjectArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str | UnsetType = UNSET
    """the drive's name"""
    id: str | UnsetType = UNSET
    """the device's id or path, instead of `device` (since 2.8)"""
    force: bool | UnsetType = UNSET
    """do it even if the guest has locked the medium; false unless given"""


class ChangeArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """the drive's name, or "vnc" """
    target: str
    """the image's file name"""
    arg: str | UnsetType = UNSET
    """its format, guessed unless given"""


class BlockdevOpenTrayArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str | UnsetType = UNSET
    """the drive's name"""
    id: str | UnsetType = UNSET
    """the device's id or path, instead of `device` (since 2.8)"""
    force: bool | UnsetType = UNSET
    """open it even if the guest has locked it; false unless given"""


class BlockdevCloseTrayArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str | UnsetType = UNSET
    """the drive's name"""
    id: str | UnsetType = UNSET
    """the device's id or path, instead of `device` (since 2.8)"""


class BlockdevRemoveMediumArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """the device's id or path"""


class BlockdevInsertMediumArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """the device's id or path"""
    node_name: str = field(name="node-name")
    """the node"""


class BlockdevChangeMediumArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str | UnsetType = UNSET
    """the drive's name"""
    id: str | UnsetType = UNSET
    """the device's id or path, instead of `device` (since 2.8)"""
    filename: str
    """the image's file name"""
    format: str | UnsetType = UNSET
    """its format, guessed unless given"""
    force: bool | UnsetType = UNSET
    """do it even if the guest has locked the medium; false unless given (since 7.1)"""
    read_only_mode: BlockdevChangeReadOnlyMode | UnsetType = field(default=UNSET, name="read-only-mode")
    """whether it can be written, `retain` unless given"""


class QueryNamedBlockNodesArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    flat: bool | UnsetType = UNSET
    """leave out the images below each one's (since 5.0)"""


class QueryBlockstatsArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    query_nodes: bool | UnsetType = field(default=UNSET, name="query-nodes")
    """tell of each block node instead of each drive (since 2.3)"""


class BlockLatencyHistogramSetArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    """the guest's device: its id or its place in the object tree"""
    boundaries: list[UInt64] | UnsetType = UNSET
    """times in nanoseconds, rising, for all requests that are not named otherwise"""
    boundaries_read: list[UInt64] | UnsetType = field(default=UNSET, name="boundaries-read")
    """for reads"""
    boundaries_write: list[UInt64] | UnsetType = field(default=UNSET, name="boundaries-write")
    """for writes"""
    boundaries_flush: list[UInt64] | UnsetType = field(default=UNSET, name="boundaries-flush")
    """for flushes"""


class BlockSetWriteThresholdArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    node_name: str = field(name="node-name")
    """the node"""
    write_threshold: UInt64 = field(name="write-threshold")
    """the offset in bytes, 0 to be told no more"""


class BlockPasswdArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str | UnsetType = UNSET
    """the drive's name"""
    node_name: str | UnsetType = field(default=UNSET, name="node-name")
    """a block node, instead of `device` (since 2.0)"""
    password: str
    """the password"""


class BlockdevSnapshotSyncArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str | UnsetType = UNSET
    """the device"""
    node_name: str | UnsetType = field(default=UNSET, name="node-name")
    """the node, instead of a device (since 2.0)"""
    snapshot_file: str = field(name="snapshot-file")
    """name of the file"""
    snapshot_node_name: str | UnsetType = field(default=UNSET, name="snapshot-node-name")
    """name of the new node (since 2.0)"""
    format: str | UnsetType = UNSET
    """format of the new image, `qcow2` unless given"""
    mode: NewImageMode | UnsetType = UNSET
    """whether the file holds an image already, `absolute-paths` unless given (since 1.1)"""


class BlockdevSnapshotArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    node: str
    """device or node that is kept as it is"""
    overlay: str
    """node that takes its place; it has no backing file"""


class BlockdevSnapshotInternalSyncArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """device or node"""
    name: str
    """what the snapshot is called; no other one of the image may be"""


class BlockdevSnapshotDeleteInternalSyncArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    device: str
    """device or node"""
    id: str | UnsetType = UNSET
    """the snapshot's id"""
    name: str | UnsetType = UNSET
    """the snapshot's name"""


class TransactionArguments(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    actions: list[TransactionAction]
    """what is done, in this order"""
    properties: TransactionProperties | UnsetType = UNSET
    """how that is to be understood (since 2.5)"""


COMMANDS: dict[str, CommandInfo] = {
    "qmp_capabilities": CommandInfo(
        "qmp_capabilities",
        "qmp_capabilities",
        arguments=QmpCapabilitiesArguments,
        allow_preconfig=True,
        since="0.13",
    ),
    "query-version": CommandInfo(
        "query-version",
        "query_version",
        returns=VersionInfo,
        allow_preconfig=True,
        since="0.14",
    ),
    "query-commands": CommandInfo(
        "query-commands",
        "query_commands",
        returns=list[CommandInfoValue],
        allow_preconfig=True,
        since="0.14",
    ),
    "quit": CommandInfo("quit", "quit", allow_preconfig=True, since="0.14"),
    "query-qmp-schema": CommandInfo(
        "query-qmp-schema",
        "query_qmp_schema",
        returns=list[SchemaInfo],
        allow_preconfig=True,
        since="2.5",
    ),
    "query-status": CommandInfo(
        "query-status",
        "query_status",
        returns=StatusInfo,
        allow_preconfig=True,
        since="0.14",
    ),
    "stop": CommandInfo("stop", "stop", since="0.14"),
    "cont": CommandInfo("cont", "cont", since="0.14"),
    "system_reset": CommandInfo("system_reset", "system_reset", since="0.14"),
    "system_powerdown": CommandInfo("system_powerdown", "system_powerdown", since="0.14"),
    "system_wakeup": CommandInfo("system_wakeup", "system_wakeup", since="1.1"),
    "set-action": CommandInfo(
        "set-action",
        "set_action",
        arguments=SetActionArguments,
        allow_preconfig=True,
        since="6.0",
    ),
    "watchdog-set-action": CommandInfo(
        "watchdog-set-action",
        "watchdog_set_action",
        arguments=WatchdogSetActionArguments,
        since="2.11",
    ),
    "query-name": CommandInfo(
        "query-name",
        "query_name",
        returns=NameInfo,
        allow_preconfig=True,
        since="0.14",
    ),
    "query-uuid": CommandInfo(
        "query-uuid",
        "query_uuid",
        returns=UuidInfo,
        allow_preconfig=True,
        since="0.14",
    ),
    "query-kvm": CommandInfo("query-kvm", "query_kvm", returns=KvmInfo, since="0.14"),
    "query-target": CommandInfo(
        "query-target",
        "query_target",
        returns=TargetInfo,
        allow_preconfig=True,
        since="1.2",
    ),
    "query-cpus": CommandInfo(
        "query-cpus",
        "query_cpus",
        returns=list[CpuInfo],
        since="0.14",
        removed="6.0",
        features=("deprecated",),
    ),
    "query-cpus-fast": CommandInfo(
        "query-cpus-fast",
        "query_cpus_fast",
        returns=list[CpuInfoFast],
        since="2.12",
    ),
    "cpu": CommandInfo("cpu", "cpu", arguments=CpuArguments, since="0.14", features=("deprecated",)),
    "memsave": CommandInfo("memsave", "memsave", arguments=MemsaveArguments, since="0.14"),
    "pmemsave": CommandInfo("pmemsave", "pmemsave", arguments=PmemsaveArguments, since="0.14"),
    "inject-nmi": CommandInfo("inject-nmi", "inject_nmi", since="0.14"),
    "query-memory-size-summary": CommandInfo(
        "query-memory-size-summary",
        "query_memory_size_summary",
        returns=MemoryInfo,
        since="2.11",
    ),
    "query-memdev": CommandInfo(
        "query-memdev",
        "query_memdev",
        returns=list[Memdev],
        allow_preconfig=True,
        since="2.1",
    ),
    "query-current-machine": CommandInfo(
        "query-current-machine",
        "query_current_machine",
        returns=CurrentMachineParams,
        since="4.0",
    ),
    "query-machines": CommandInfo("query-machines", "query_machines", returns=list[MachineInfo], since="1.2"),
    "query-hotpluggable-cpus": CommandInfo(
        "query-hotpluggable-cpus",
        "query_hotpluggable_cpus",
        returns=list[HotpluggableCPU],
        allow_preconfig=True,
        since="2.7",
    ),
    "query-cpu-definitions": CommandInfo(
        "query-cpu-definitions",
        "query_cpu_definitions",
        returns=list[CpuDefinitionInfo],
        since="1.2",
    ),
    "query-cpu-model-expansion": CommandInfo(
        "query-cpu-model-expansion",
        "query_cpu_model_expansion",
        arguments=QueryCpuModelExpansionArguments,
        returns=CpuModelExpansionInfo,
        since="2.8",
    ),
    "query-balloon": CommandInfo("query-balloon", "query_balloon", returns=BalloonInfo, since="0.14"),
    "balloon": CommandInfo("balloon", "balloon", arguments=BalloonArguments, since="0.14"),
    "query-chardev": CommandInfo(
        "query-chardev",
        "query_chardev",
        returns=list[ChardevInfo],
        allow_preconfig=True,
        since="0.14",
    ),
    "query-chardev-backends": CommandInfo(
        "query-chardev-backends",
        "query_chardev_backends",
        returns=list[ChardevBackendInfo],
        since="2.0",
    ),
    "ringbuf-write": CommandInfo(
        "ringbuf-write",
        "ringbuf_write",
        arguments=RingbufWriteArguments,
        since="1.4",
    ),
    "ringbuf-read": CommandInfo(
        "ringbuf-read",
        "ringbuf_read",
        arguments=RingbufReadArguments,
        returns=str,
        since="1.4",
    ),
    "qom-list": CommandInfo(
        "qom-list",
        "qom_list",
        arguments=QomListArguments,
        returns=list[ObjectPropertyInfo],
        allow_preconfig=True,
        since="1.1",
    ),
    "qom-get": CommandInfo(
        "qom-get",
        "qom_get",
        arguments=QomGetArguments,
        returns=Any,
        allow_preconfig=True,
        since="1.1",
    ),
    "qom-set": CommandInfo(
        "qom-set",
        "qom_set",
        arguments=QomSetArguments,
        allow_preconfig=True,
        since="1.1",
    ),
    "qom-list-types": CommandInfo(
        "qom-list-types",
        "qom_list_types",
        arguments=QomListTypesArguments,
        returns=list[ObjectTypeInfo],
        allow_preconfig=True,
        since="1.1",
    ),
    "qom-list-properties": CommandInfo(
        "qom-list-properties",
        "qom_list_properties",
        arguments=QomListPropertiesArguments,
        returns=list[ObjectPropertyInfo],
        allow_preconfig=True,
        since="2.12",
    ),
    "object-add": CommandInfo(
        "object-add",
        "object_add",
        arguments=ObjectOptions,
        boxed=True,
        allow_preconfig=True,
        since="2.0",
    ),
    "object-del": CommandInfo(
        "object-del",
        "object_del",
        arguments=ObjectDelArguments,
        allow_preconfig=True,
        since="2.0",
    ),
    "device-list-properties": CommandInfo(
        "device-list-properties",
        "device_list_properties",
        arguments=DeviceListPropertiesArguments,
        returns=list[ObjectPropertyInfo],
        since="1.2",
    ),
    "device_add": CommandInfo("device_add", "device_add", raw=True, since="0.13", features=("json-cli",)),
    "device_del": CommandInfo("device_del", "device_del", arguments=DeviceDelArguments, since="0.14"),
    "query-pci": CommandInfo("query-pci", "query_pci", returns=list[PciInfo], since="0.14"),
    "human-monitor-command": CommandInfo(
        "human-monitor-command",
        "human_monitor_command",
        arguments=HumanMonitorCommandArguments,
        returns=str,
        since="0.14",
    ),
    "query-command-line-options": CommandInfo(
        "query-command-line-options",
        "query_command_line_options",
        arguments=QueryCommandLineOptionsArguments,
        returns=list[CommandLineOptionInfo],
        allow_preconfig=True,
        since="1.5",
    ),
    "query-iothreads": CommandInfo(
        "query-iothreads",
        "query_iothreads",
        returns=list[IOThreadInfo],
        allow_preconfig=True,
        since="2.0",
    ),
    "set_link": CommandInfo("set_link", "set_link", arguments=SetLinkArguments, since="0.14"),
    "netdev_add": CommandInfo(
        "netdev_add",
        "netdev_add",
        arguments=Netdev,
        boxed=True,
        allow_preconfig=True,
        since="0.14",
    ),
    "netdev_del": CommandInfo(
        "netdev_del",
        "netdev_del",
        arguments=NetdevDelArguments,
        allow_preconfig=True,
        since="0.14",
    ),
    "query-rx-filter": CommandInfo(
        "query-rx-filter",
        "query_rx_filter",
        arguments=QueryRxFilterArguments,
        returns=list[RxFilterInfo],
        since="1.6",
    ),
    "announce-self": CommandInfo(
        "announce-self",
        "announce_self",
        arguments=AnnounceParameters,
        boxed=True,
        since="4.0",
    ),
    "job-pause": CommandInfo("job-pause", "job_pause", arguments=JobPauseArguments, since="3.0"),
    "job-resume": CommandInfo("job-resume", "job_resume", arguments=JobResumeArguments, since="3.0"),
    "job-cancel": CommandInfo("job-cancel", "job_cancel", arguments=JobCancelArguments, since="3.0"),
    "job-complete": CommandInfo("job-complete", "job_complete", arguments=JobCompleteArguments, since="3.0"),
    "job-dismiss": CommandInfo("job-dismiss", "job_dismiss", arguments=JobDismissArguments, since="3.0"),
    "job-finalize": CommandInfo("job-finalize", "job_finalize", arguments=JobFinalizeArguments, since="3.0"),
    "query-jobs": CommandInfo("query-jobs", "query_jobs", returns=list[JobInfo], since="3.0"),
    "send-key": CommandInfo("send-key", "send_key", arguments=SendKeyArguments, since="1.3"),
    "input-send-event": CommandInfo(
        "input-send-event",
        "input_send_event",
        arguments=InputSendEventArguments,
        since="2.6",
    ),
    "query-mice": CommandInfo("query-mice", "query_mice", returns=list[MouseInfo], since="0.14"),
    "query-block-jobs": CommandInfo(
        "query-block-jobs",
        "query_block_jobs",
        returns=list[BlockJobInfo],
        since="1.1",
    ),
    "block-stream": CommandInfo("block-stream", "block_stream", arguments=BlockStreamArguments, since="1.1"),
    "block_stream": CommandInfo(
        "block_stream",
        "block_stream_former",
        arguments=BlockStreamFormerArguments,
        since="1.1",
        removed="1.2",
    ),
    "block-commit": CommandInfo("block-commit", "block_commit", arguments=BlockCommitArguments, since="1.3"),
    "drive-mirror": CommandInfo(
        "drive-mirror",
        "drive_mirror",
        arguments=DriveMirror,
        boxed=True,
        since="1.3",
    ),
    "blockdev-mirror": CommandInfo(
        "blockdev-mirror",
        "blockdev_mirror",
        arguments=BlockdevMirrorArguments,
        since="2.6",
    ),
    "drive-backup": CommandInfo(
        "drive-backup",
        "drive_backup",
        arguments=DriveBackup,
        boxed=True,
        since="1.6",
    ),
    "blockdev-backup": CommandInfo(
        "blockdev-backup",
        "blockdev_backup",
        arguments=BlockdevBackup,
        boxed=True,
        since="2.3",
    ),
    "block-job-set-speed": CommandInfo(
        "block-job-set-speed",
        "block_job_set_speed",
        arguments=BlockJobSetSpeedArguments,
        since="1.1",
    ),
    "block_job_set_speed": CommandInfo(
        "block_job_set_speed",
        "block_job_set_speed_former",
        arguments=BlockJobSetSpeedFormerArguments,
        since="1.1",
        removed="1.2",
    ),
    "block-job-cancel": CommandInfo(
        "block-job-cancel",
        "block_job_cancel",
        arguments=BlockJobCancelArguments,
        since="1.1",
    ),
    "block_job_cancel": CommandInfo(
        "block_job_cancel",
        "block_job_cancel_former",
        arguments=BlockJobCancelFormerArguments,
        since="1.1",
        removed="1.2",
    ),
    "block-job-pause": CommandInfo(
        "block-job-pause",
        "block_job_pause",
        arguments=BlockJobPauseArguments,
        since="1.3",
    ),
    "block-job-resume": CommandInfo(
        "block-job-resume",
        "block_job_resume",
        arguments=BlockJobResumeArguments,
        since="1.3",
    ),
    "block-job-complete": CommandInfo(
        "block-job-complete",
        "block_job_complete",
        arguments=BlockJobCompleteArguments,
        since="1.3",
    ),
    "block-job-dismiss": CommandInfo(
        "block-job-dismiss",
        "block_job_dismiss",
        arguments=BlockJobDismissArguments,
        since="2.12",
    ),
    "block-job-finalize": CommandInfo(
        "block-job-finalize",
        "block_job_finalize",
        arguments=BlockJobFinalizeArguments,
        since="2.12",
    ),
    "blockdev-add": CommandInfo("blockdev-add", "blockdev_add", raw=True, since="2.9"),
    "blockdev-del": CommandInfo("blockdev-del", "blockdev_del", arguments=BlockdevDelArguments, since="2.9"),
    "blockdev-reopen": CommandInfo(
        "blockdev-reopen",
        "blockdev_reopen",
        arguments=BlockdevReopenArguments,
        since="6.1",
    ),
    "block_resize": CommandInfo("block_resize", "block_resize", arguments=BlockResizeArguments, since="0.14"),
    "eject": CommandInfo("eject", "eject", arguments=EjectArguments, since="0.14"),
    "change": CommandInfo("change", "change", arguments=ChangeArguments, since="0.14", removed="6.0"),
    "blockdev-open-tray": CommandInfo(
        "blockdev-open-tray",
        "blockdev_open_tray",
        arguments=BlockdevOpenTrayArguments,
        since="2.5",
    ),
    "blockdev-close-tray": CommandInfo(
        "blockdev-close-tray",
        "blockdev_close_tray",
        arguments=BlockdevCloseTrayArguments,
        since="2.5",
    ),
    "blockdev-remove-medium": CommandInfo(
        "blockdev-remove-medium",
        "blockdev_remove_medium",
        arguments=BlockdevRemoveMediumArguments,
        since="2.12",
    ),
    "blockdev-insert-medium": CommandInfo(
        "blockdev-insert-medium",
        "blockdev_insert_medium",
        arguments=BlockdevInsertMediumArguments,
        since="2.12",
    ),
    "blockdev-change-medium": CommandInfo(
        "blockdev-change-medium",
        "blockdev_change_medium",
        arguments=BlockdevChangeMediumArguments,
        since="2.5",
    ),
    "block_set_io_throttle": CommandInfo(
        "block_set_io_throttle",
        "block_set_io_throttle",
        arguments=BlockIOThrottle,
        boxed=True,
        since="1.1",
    ),
    "query-block": CommandInfo("query-block", "query_block", returns=list[BlockInfo], since="0.14"),
    "query-named-block-nodes": CommandInfo(
        "query-named-block-nodes",
        "query_named_block_nodes",
        arguments=QueryNamedBlockNodesArguments,
        returns=list[BlockDeviceInfo],
        since="2.0",
    ),
    "query-blockstats": CommandInfo(
        "query-blockstats",
        "query_blockstats",
        arguments=QueryBlockstatsArguments,
        returns=list[BlockStats],
        since="0.14",
    ),
    "block-latency-histogram-set": CommandInfo(
        "block-latency-histogram-set",
        "block_latency_histogram_set",
        arguments=BlockLatencyHistogramSetArguments,
        since="4.0",
    ),
    "block-set-write-threshold": CommandInfo(
        "block-set-write-threshold",
        "block_set_write_threshold",
        arguments=BlockSetWriteThresholdArguments,
        since="2.3",
    ),
    "x-debug-query-block-graph": CommandInfo(
        "x-debug-query-block-graph",
        "x_debug_query_block_graph",
        returns=XDbgBlockGraph,
        since="4.0",
        features=("unstable",),
    ),
    "block_passwd": CommandInfo(
        "block_passwd",
        "block_passwd",
        arguments=BlockPasswdArguments,
        since="0.14",
        removed="6.0",
    ),
    "blockdev-snapshot-sync": CommandInfo(
        "blockdev-snapshot-sync",
        "blockdev_snapshot_sync",
        arguments=BlockdevSnapshotSyncArguments,
        since="0.14",
    ),
    "blockdev-snapshot": CommandInfo(
        "blockdev-snapshot",
        "blockdev_snapshot",
        arguments=BlockdevSnapshotArguments,
        since="2.5",
    ),
    "blockdev-snapshot-internal-sync": CommandInfo(
        "blockdev-snapshot-internal-sync",
        "blockdev_snapshot_internal_sync",
        arguments=BlockdevSnapshotInternalSyncArguments,
        since="1.7",
    ),
    "blockdev-snapshot-delete-internal-sync": CommandInfo(
        "blockdev-snapshot-delete-internal-sync",
        "blockdev_snapshot_delete_internal_sync",
        arguments=BlockdevSnapshotDeleteInternalSyncArguments,
        returns=SnapshotInfo,
        since="1.7",
    ),
    "block-dirty-bitmap-add": CommandInfo(
        "block-dirty-bitmap-add",
        "block_dirty_bitmap_add",
        arguments=BlockDirtyBitmapAdd,
        boxed=True,
        since="2.4",
    ),
    "block-dirty-bitmap-remove": CommandInfo(
        "block-dirty-bitmap-remove",
        "block_dirty_bitmap_remove",
        arguments=BlockDirtyBitmap,
        boxed=True,
        since="2.4",
    ),
    "block-dirty-bitmap-clear": CommandInfo(
        "block-dirty-bitmap-clear",
        "block_dirty_bitmap_clear",
        arguments=BlockDirtyBitmap,
        boxed=True,
        since="2.4",
    ),
    "block-dirty-bitmap-enable": CommandInfo(
        "block-dirty-bitmap-enable",
        "block_dirty_bitmap_enable",
        arguments=BlockDirtyBitmap,
        boxed=True,
        since="4.0",
    ),
    "block-dirty-bitmap-disable": CommandInfo(
        "block-dirty-bitmap-disable",
        "block_dirty_bitmap_disable",
        arguments=BlockDirtyBitmap,
        boxed=True,
        since="4.0",
    ),
    "block-dirty-bitmap-merge": CommandInfo(
        "block-dirty-bitmap-merge",
        "block_dirty_bitmap_merge",
        arguments=BlockDirtyBitmapMerge,
        boxed=True,
        since="4.0",
    ),
    "x-debug-block-dirty-bitmap-sha256": CommandInfo(
        "x-debug-block-dirty-bitmap-sha256",
        "x_debug_block_dirty_bitmap_sha256",
        arguments=BlockDirtyBitmap,
        returns=BlockDirtyBitmapSha256,
        boxed=True,
        since="2.10",
    ),
    "transaction": CommandInfo("transaction", "transaction", arguments=TransactionArguments, since="1.1"),
}


class Signatures(Protocol):
    """The handlers' signatures, but for what they get first: the machine."""

    async def qmp_capabilities(self, enable: list[QMPCapability] | None = None) -> None: ...

    async def query_version(self) -> VersionInfo: ...

    async def query_commands(self) -> list[CommandInfoValue]: ...

    async def quit(self) -> None: ...

    async def query_qmp_schema(self) -> list[SchemaInfo]: ...

    async def query_status(self) -> StatusInfo: ...

    async def stop(self) -> None: ...

    async def cont(self) -> None: ...

    async def system_reset(self) -> None: ...

    async def system_powerdown(self) -> None: ...

    async def system_wakeup(self) -> None: ...

    async def set_action(
        self,
        reboot: RebootAction | None = None,
        shutdown: ShutdownAction | None = None,
        panic: PanicAction | None = None,
        watchdog: WatchdogAction | None = None,
    ) -> None: ...

    async def watchdog_set_action(self, action: WatchdogAction) -> None: ...

    async def query_name(self) -> NameInfo: ...

    async def query_uuid(self) -> UuidInfo: ...

    async def query_kvm(self) -> KvmInfo: ...

    async def query_target(self) -> TargetInfo: ...

    async def query_cpus(self) -> list[CpuInfo]: ...

    async def query_cpus_fast(self) -> list[CpuInfoFast]: ...

    async def cpu(self, index: int) -> None: ...

    async def memsave(self, val: int, size: int, filename: str, cpu_index: int | None = None) -> None: ...

    async def pmemsave(self, val: int, size: int, filename: str) -> None: ...

    async def inject_nmi(self) -> None: ...

    async def query_memory_size_summary(self) -> MemoryInfo: ...

    async def query_memdev(self) -> list[Memdev]: ...

    async def query_current_machine(self) -> CurrentMachineParams: ...

    async def query_machines(self) -> list[MachineInfo]: ...

    async def query_hotpluggable_cpus(self) -> list[HotpluggableCPU]: ...

    async def query_cpu_definitions(self) -> list[CpuDefinitionInfo]: ...

    async def query_cpu_model_expansion(
        self,
        type: CpuModelExpansionType,
        model: CpuModelInfo,
    ) -> CpuModelExpansionInfo: ...

    async def query_balloon(self) -> BalloonInfo: ...

    async def balloon(self, value: int) -> None: ...

    async def query_chardev(self) -> list[ChardevInfo]: ...

    async def query_chardev_backends(self) -> list[ChardevBackendInfo]: ...

    async def ringbuf_write(self, device: str, data: str, format: DataFormat | None = None) -> None: ...

    async def ringbuf_read(self, device: str, size: int, format: DataFormat | None = None) -> str: ...

    async def qom_list(self, path: str) -> list[ObjectPropertyInfo]: ...

    async def qom_get(self, path: str, property: str) -> Any: ...

    async def qom_set(self, path: str, property: str, value: Any) -> None: ...

    async def qom_list_types(
        self,
        implements: str | None = None,
        abstract: bool | None = None,
    ) -> list[ObjectTypeInfo]: ...

    async def qom_list_properties(self, typename: str) -> list[ObjectPropertyInfo]: ...

    async def object_add(self, arguments: ObjectOptions) -> None: ...

    async def object_del(self, id: str) -> None: ...

    async def device_list_properties(self, typename: str) -> list[ObjectPropertyInfo]: ...

    async def device_add(self, arguments: dict[str, Any]) -> None: ...

    async def device_del(self, id: str) -> None: ...

    async def query_pci(self) -> list[PciInfo]: ...

    async def human_monitor_command(self, command_line: str, cpu_index: int | None = None) -> str: ...

    async def query_command_line_options(self, option: str | None = None) -> list[CommandLineOptionInfo]: ...

    async def query_iothreads(self) -> list[IOThreadInfo]: ...

    async def set_link(self, name: str, up: bool) -> None: ...

    async def netdev_add(self, arguments: Netdev) -> None: ...

    async def netdev_del(self, id: str) -> None: ...

    async def query_rx_filter(self, name: str | None = None) -> list[RxFilterInfo]: ...

    async def announce_self(self, arguments: AnnounceParameters) -> None: ...

    async def job_pause(self, id: str) -> None: ...

    async def job_resume(self, id: str) -> None: ...

    async def job_cancel(self, id: str) -> None: ...

    async def job_complete(self, id: str) -> None: ...

    async def job_dismiss(self, id: str) -> None: ...

    async def job_finalize(self, id: str) -> None: ...

    async def query_jobs(self) -> list[JobInfo]: ...

    async def send_key(self, keys: list[KeyValue], hold_time: int | None = None) -> None: ...

    async def input_send_event(
        self,
        events: list[InputEvent],
        device: str | None = None,
        head: int | None = None,
    ) -> None: ...

    async def query_mice(self) -> list[MouseInfo]: ...

    async def query_block_jobs(self) -> list[BlockJobInfo]: ...

    async def block_stream(
        self,
        device: str,
        job_id: str | None = None,
        base: str | None = None,
        base_node: str | None = None,
        backing_file: str | None = None,
        bottom: str | None = None,
        speed: int | None = None,
        on_error: BlockdevOnError | None = None,
        filter_node_name: str | None = None,
        auto_finalize: bool | None = None,
        auto_dismiss: bool | None = None,
    ) -> None: ...

    async def block_stream_former(self, device: str, base: str | None = None) -> None: ...

    async def block_commit(
        self,
        device: str,
        job_id: str | None = None,
        base_node: str | None = None,
        base: str | None = None,
        top_node: str | None = None,
        top: str | None = None,
        backing_file: str | None = None,
        speed: int | None = None,
        on_error: BlockdevOnError | None = None,
        filter_node_name: str | None = None,
        auto_finalize: bool | None = None,
        auto_dismiss: bool | None = None,
    ) -> None: ...

    async def drive_mirror(self, arguments: DriveMirror) -> None: ...

    async def blockdev_mirror(
        self,
        device: str,
        target: str,
        sync: MirrorSyncMode,
        job_id: str | None = None,
        replaces: str | None = None,
        speed: int | None = None,
        granularity: int | None = None,
        buf_size: int | None = None,
        on_source_error: BlockdevOnError | None = None,
        on_target_error: BlockdevOnError | None = None,
        filter_node_name: str | None = None,
        copy_mode: MirrorCopyMode | None = None,
        auto_finalize: bool | None = None,
        auto_dismiss: bool | None = None,
    ) -> None: ...

    async def drive_backup(self, arguments: DriveBackup) -> None: ...

    async def blockdev_backup(self, arguments: BlockdevBackup) -> None: ...

    async def block_job_set_speed(self, device: str, speed: int) -> None: ...

    async def block_job_set_speed_former(self, device: str, value: int) -> None: ...

    async def block_job_cancel(self, device: str, force: bool | None = None) -> None: ...

    async def block_job_cancel_former(self, device: str) -> None: ...

    async def block_job_pause(self, device: str) -> None: ...

    async def block_job_resume(self, device: str) -> None: ...

    async def block_job_complete(self, device: str) -> None: ...

    async def block_job_dismiss(self, id: str) -> None: ...

    async def block_job_finalize(self, id: str) -> None: ...

    async def blockdev_add(self, arguments: dict[str, Any]) -> None: ...

    async def blockdev_del(self, node_name: str) -> None: ...

    async def blockdev_reopen(self, options: list[Any]) -> None: ...

    async def block_resize(
        self,
        size: int,
        device: str | None = None,
        node_name: str | None = None,
    ) -> None: ...

    async def eject(
        self,
        device: str | None = None,
        id: str | None = None,
        force: bool | None = None,
    ) -> None: ...

    async def change(self, device: str, target: str, arg: str | None = None) -> None: ...

    async def blockdev_open_tray(
        self,
        device: str | None = None,
        id: str | None = None,
        force: bool | None = None,
    ) -> None: ...

    async def blockdev_close_tray(self, device: str | None = None, id: str | None = None) -> None: ...

    async def blockdev_remove_medium(self, id: str) -> None: ...

    async def blockdev_insert_medium(self, id: str, node_name: str) -> None: ...

    async def blockdev_change_medium(
        self,
        filename: str,
        device: str | None = None,
        id: str | None = None,
        format: str | None = None,
        force: bool | None = None,
        read_only_mode: BlockdevChangeReadOnlyMode | None = None,
    ) -> None: ...

    async def block_set_io_throttle(self, arguments: BlockIOThrottle) -> None: ...

    async def query_block(self) -> list[BlockInfo]: ...

    async def query_named_block_nodes(self, flat: bool | None = None) -> list[BlockDeviceInfo]: ...

    async def query_blockstats(self, query_nodes: bool | None = None) -> list[BlockStats]: ...

    async def block_latency_histogram_set(
        self,
        id: str,
        boundaries: list[int] | None = None,
        boundaries_read: list[int] | None = None,
        boundaries_write: list[int] | None = None,
        boundaries_flush: list[int] | None = None,
    ) -> None: ...

    async def block_set_write_threshold(self, node_name: str, write_threshold: int) -> None: ...

    async def x_debug_query_block_graph(self) -> XDbgBlockGraph: ...

    async def block_passwd(
        self,
        password: str,
        device: str | None = None,
        node_name: str | None = None,
    ) -> None: ...

    async def blockdev_snapshot_sync(
        self,
        snapshot_file: str,
        device: str | None = None,
        node_name: str | None = None,
        snapshot_node_name: str | None = None,
        format: str | None = None,
        mode: NewImageMode | None = None,
    ) -> None: ...

    async def blockdev_snapshot(self, node: str, overlay: str) -> None: ...

    async def blockdev_snapshot_internal_sync(self, device: str, name: str) -> None: ...

    async def blockdev_snapshot_delete_internal_sync(
        self,
        device: str,
        id: str | None = None,
        name: str | None = None,
    ) -> SnapshotInfo: ...

    async def block_dirty_bitmap_add(self, arguments: BlockDirtyBitmapAdd) -> None: ...

    async def block_dirty_bitmap_remove(self, arguments: BlockDirtyBitmap) -> None: ...

    async def block_dirty_bitmap_clear(self, arguments: BlockDirtyBitmap) -> None: ...

    async def block_dirty_bitmap_enable(self, arguments: BlockDirtyBitmap) -> None: ...

    async def block_dirty_bitmap_disable(self, arguments: BlockDirtyBitmap) -> None: ...

    async def block_dirty_bitmap_merge(self, arguments: BlockDirtyBitmapMerge) -> None: ...

    async def x_debug_block_dirty_bitmap_sha256(
        self,
        arguments: BlockDirtyBitmap,
    ) -> BlockDirtyBitmapSha256: ...

    async def transaction(
        self,
        actions: list[TransactionAction],
        properties: TransactionProperties | None = None,
    ) -> None: ...

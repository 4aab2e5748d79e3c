"""A client's view of the machine protocol.

Generated from a schema by `varan qapi generate`: change the schema, not this file.
"""

from __future__ import annotations

import abc
from typing import Any

from msgspec import UNSET, UnsetType

from .commands import (
    COMMANDS,
    CommandInfo,
    BalloonArguments,
    BlockCommitArguments,
    BlockJobCancelArguments,
    BlockJobCancelFormerArguments,
    BlockJobCompleteArguments,
    BlockJobDismissArguments,
    BlockJobFinalizeArguments,
    BlockJobPauseArguments,
    BlockJobResumeArguments,
    BlockJobSetSpeedArguments,
    BlockJobSetSpeedFormerArguments,
    BlockLatencyHistogramSetArguments,
    BlockPasswdArguments,
    BlockResizeArguments,
    BlockSetWriteThresholdArguments,
    BlockStreamArguments,
    BlockStreamFormerArguments,
    BlockdevChangeMediumArguments,
    BlockdevCloseTrayArguments,
    BlockdevDelArguments,
    BlockdevInsertMediumArguments,
    BlockdevMirrorArguments,
    BlockdevOpenTrayArguments,
    BlockdevRemoveMediumArguments,
    BlockdevReopenArguments,
    BlockdevSnapshotArguments,
    BlockdevSnapshotDeleteInternalSyncArguments,
    BlockdevSnapshotInternalSyncArguments,
    BlockdevSnapshotSyncArguments,
    ChangeArguments,
    CpuArguments,
    DeviceDelArguments,
    DeviceListPropertiesArguments,
    EjectArguments,
    HumanMonitorCommandArguments,
    InputSendEventArguments,
    JobCancelArguments,
    JobCompleteArguments,
    JobDismissArguments,
    JobFinalizeArguments,
    JobPauseArguments,
    JobResumeArguments,
    MemsaveArguments,
    NetdevDelArguments,
    ObjectDelArguments,
    PmemsaveArguments,
    QmpCapabilitiesArguments,
    QomGetArguments,
    QomListArguments,
    QomListPropertiesArguments,
    QomListTypesArguments,
    QomSetArguments,
    QueryBlockstatsArguments,
    QueryCommandLineOptionsArguments,
    QueryCpuModelExpansionArguments,
    QueryNamedBlockNodesArguments,
    QueryRxFilterArguments,
    RingbufReadArguments,
    RingbufWriteArguments,
    SendKeyArguments,
    SetActionArguments,
    SetLinkArguments,
    TransactionArguments,
    WatchdogSetActionArguments,
)
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
    UuidInfo,
    VersionInfo,
    WatchdogAction,
    XDbgBlockGraph,
)


class Commands(abc.ABC):
    """Every command as a method; who derives from it says how commands travel."""

    @abc.abstractmethod
    async def execute(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """Execute a command by name: plain JSON values in and out."""

    @abc.abstractmethod
    async def call(self, command: CommandInfo, arguments: Any) -> Any:
        """Execute a command: typed arguments (None for none) in, a value of type `command.returns` out."""

    async def qmp_capabilities(self, enable: list[QMPCapability] | None = None) -> None:
        """End the negotiation that every control session begins with. Until it has succeeded, no other
        command is answered and no event is sent.

        enable: which of the greeting's capabilities this session wants; none when absent (since 2.12)

        Errors:
        - If a session asks for a capability that was not offered, or
          negotiates a second time, GenericError
        """
        await self.call(
            COMMANDS["qmp_capabilities"],
            QmpCapabilitiesArguments(enable=UNSET if enable is None else enable),
        )

    async def query_version(self) -> VersionInfo:
        """Tell the protocol's version and the program's.

        Returns: both, as the greeting has them too
        """
        result: VersionInfo = await self.call(COMMANDS["query-version"], None)
        return result

    async def query_commands(self) -> list[CommandInfoValue]:
        """List the commands that this session may send.

        Returns: one entry per command
        """
        result: list[CommandInfoValue] = await self.call(COMMANDS["query-commands"], None)
        return result

    async def quit(self) -> None:
        """End the machine and the program that runs it. The guest gets no chance to prepare. The reply is
        sent before connections close, and the SHUTDOWN event tells the reason "host-qmp-quit".
        """
        await self.call(COMMANDS["quit"], None)

    async def query_qmp_schema(self) -> list[SchemaInfo]:
        """Describe every command and event, and the types they carry.

        Returns: all entities, each mentioned by name in others
        """
        result: list[SchemaInfo] = await self.call(COMMANDS["query-qmp-schema"], None)
        return result

    async def query_status(self) -> StatusInfo:
        """Tell what the machine is doing.

        Returns: the run state
        """
        result: StatusInfo = await self.call(COMMANDS["query-status"], None)
        return result

    async def stop(self) -> None:
        """Pause the guest. When the reply arrives no guest instruction runs any more and guest time stands
        still. A machine that is not running stays as it is.
        """
        await self.call(COMMANDS["stop"], None)

    async def cont(self) -> None:
        """Let the guest run, or run on. A running machine stays as it is.

        Errors:
        - If the machine waits for an incoming migration, MigrationExpected
        - If a disk still lacks its key, DeviceEncrypted
        - If only a reset helps (the guest has shut down, or the accelerator
          failed), GenericError
        """
        await self.call(COMMANDS["cont"], None)

    async def system_reset(self) -> None:
        """Press the reset button: devices and CPUs return to their state after power-on, and what boots is
        loaded anew. A stopped machine stays stopped. Where the reboot action is to shut down, that happens
        instead.
        """
        await self.call(COMMANDS["system_reset"], None)

    async def system_powerdown(self) -> None:
        """Press the power button. Whether and when the guest shuts down is its own affair; it needs ACPI."""
        await self.call(COMMANDS["system_powerdown"], None)

    async def system_wakeup(self) -> None:
        """Wake a guest that sleeps (run state "suspended").

        Errors:
        - If the guest does not sleep, or the machine has no sleep states,
          GenericError
        """
        await self.call(COMMANDS["system_wakeup"], None)

    async def set_action(
        self,
        reboot: RebootAction | None = None,
        shutdown: ShutdownAction | None = None,
        panic: PanicAction | None = None,
        watchdog: WatchdogAction | None = None,
    ) -> None:
        """Choose what certain doings of the guest lead to from now on. What is left out stays as it is.

        reboot: for a reset

        shutdown: for a shutdown

        panic: for a reported crash

        watchdog: for a watchdog that ran out
        """
        await self.call(
            COMMANDS["set-action"],
            SetActionArguments(reboot=UNSET if reboot is None else reboot, shutdown=UNSET if shutdown is None else shutdown, panic=UNSET if panic is None else panic, watchdog=UNSET if watchdog is None else watchdog),
        )

    async def watchdog_set_action(self, action: WatchdogAction) -> None:
        """Choose what a watchdog that runs out leads to from now on.

        action: that
        """
        await self.call(COMMANDS["watchdog-set-action"], WatchdogSetActionArguments(action=action))

    async def query_name(self) -> NameInfo:
        """Tell the machine's name.

        Returns: the name it was started with
        """
        result: NameInfo = await self.call(COMMANDS["query-name"], None)
        return result

    async def query_uuid(self) -> UuidInfo:
        """Tell the machine's UUID.

        Returns: the UUID it was started with; all digits are zero when it was given none
        """
        result: UuidInfo = await self.call(COMMANDS["query-uuid"], None)
        return result

    async def query_kvm(self) -> KvmInfo:
        """Tell whether this machine uses KVM, and whether it could.

        Returns: both answers
        """
        result: KvmInfo = await self.call(COMMANDS["query-kvm"], None)
        return result

    async def query_target(self) -> TargetInfo:
        """Tell which guests this program runs.

        Returns: the architecture
        """
        result: TargetInfo = await self.call(COMMANDS["query-target"], None)
        return result

    async def query_cpus(self) -> list[CpuInfo]:
        """Describe every vCPU, with the instruction it is at. Each is stopped for a moment to answer.

        Returns: one entry per vCPU, by number
        """
        result: list[CpuInfo] = await self.call(COMMANDS["query-cpus"], None)
        return result

    async def query_cpus_fast(self) -> list[CpuInfoFast]:
        """List the vCPUs without disturbing them.

        Returns: one entry per vCPU, by number
        """
        result: list[CpuInfoFast] = await self.call(COMMANDS["query-cpus-fast"], None)
        return result

    async def cpu(self, index: int) -> None:
        """Does nothing. It once chose the vCPU that later commands of the session meant; they take their own
        cpu-index now.

        index: a vCPU's number; it is not looked at
        """
        await self.call(COMMANDS["cpu"], CpuArguments(index=index))

    async def memsave(self, val: int, size: int, filename: str, cpu_index: int | None = None) -> None:
        """Write guest memory to a file, by virtual address. Addresses are translated by the page tables that
        the chosen vCPU uses at that moment. The file appears whole, or, when anything fails, not at all; a
        file that had the name before is replaced.

        val: the first virtual address; negative numbers stand for the upper half of the address space

        size: how many bytes

        filename: the file, seen from the machine's working directory

        cpu_index: the vCPU whose page tables are meant (default: 0)

        Errors:
        - If there is no such vCPU, or `size` is negative,
          InvalidParameterValue
        - If an address is not mapped, GenericError
        - If the file cannot be made, OpenFileFailed
        - If the file cannot be written, IOError
        """
        await self.call(
            COMMANDS["memsave"],
            MemsaveArguments(val=val, size=size, filename=filename, cpu_index=UNSET if cpu_index is None else cpu_index),
        )

    async def pmemsave(self, val: int, size: int, filename: str) -> None:
        """Write guest memory to a file, by physical address. Addresses behind which there is no memory read
        as zero. The file appears whole, or, when anything fails, not at all; a file that had the name
        before is replaced.

        val: the first physical address

        size: how many bytes

        filename: the file, seen from the machine's working directory

        Errors:
        - If `size` is negative, InvalidParameterValue
        - If the file cannot be made, OpenFileFailed
        - If the file cannot be written, IOError
        """
        await self.call(COMMANDS["pmemsave"], PmemsaveArguments(val=val, size=size, filename=filename))

    async def inject_nmi(self) -> None:
        """Raise a non-maskable interrupt on every vCPU, as a front panel's NMI button does.

        Errors: - If the machine has no vCPU, Unsupported
        """
        await self.call(COMMANDS["inject-nmi"], None)

    async def query_memory_size_summary(self) -> MemoryInfo:
        """Tell how much memory the guest has.

        Returns: sizes in bytes
        """
        result: MemoryInfo = await self.call(COMMANDS["query-memory-size-summary"], None)
        return result

    async def query_memdev(self) -> list[Memdev]:
        """List the memory backends.

        Returns: one entry per backend
        """
        result: list[Memdev] = await self.call(COMMANDS["query-memdev"], None)
        return result

    async def query_current_machine(self) -> CurrentMachineParams:
        """Tell what this very machine can do.

        Returns: its abilities
        """
        result: CurrentMachineParams = await self.call(COMMANDS["query-current-machine"], None)
        return result

    async def query_machines(self) -> list[MachineInfo]:
        """List the machine types that this program can be.

        Returns: one entry per type
        """
        result: list[MachineInfo] = await self.call(COMMANDS["query-machines"], None)
        return result

    async def query_hotpluggable_cpus(self) -> list[HotpluggableCPU]:
        """List the places where CPUs are. All of them are taken from the start.

        Returns: one entry per CPU

        Errors: - If the machine has no CPUs, GenericError
        """
        result: list[HotpluggableCPU] = await self.call(COMMANDS["query-hotpluggable-cpus"], None)
        return result

    async def query_cpu_definitions(self) -> list[CpuDefinitionInfo]:
        """List the CPU models that what runs this machine's CPUs knows.

        Returns: one entry per model
        """
        result: list[CpuDefinitionInfo] = await self.call(COMMANDS["query-cpu-definitions"], None)
        return result

    async def query_cpu_model_expansion(
        self,
        type: CpuModelExpansionType,
        model: CpuModelInfo,
    ) -> CpuModelExpansionInfo:
        """Spell out what a CPU model is, as a guest of this machine's accelerator would see it. Both types of
        expansion tell everything.

        type: how

        model: the model, with features that are chosen otherwise

        Returns: the model with all its features

        Errors: - If there is no such model or feature, GenericError
        """
        result: CpuModelExpansionInfo = await self.call(
            COMMANDS["query-cpu-model-expansion"],
            QueryCpuModelExpansionArguments(type=type, model=model),
        )
        return result

    async def query_balloon(self) -> BalloonInfo:
        """Tell how much memory the guest has. What it says of its memory is there once the guest has said it:
        have "guest-stats-polling-interval" of the balloon set.

        Returns: the sizes

        Errors:
        - If there is no balloon, DeviceNotActive
        - If the host's KVM cannot take memory from a guest, KVMMissingCap
        """
        result: BalloonInfo = await self.call(COMMANDS["query-balloon"], None)
        return result

    async def balloon(self, value: int) -> None:
        """Ask the guest to make do with less memory, or give memory back to it. Whether and when it does is
        the guest's affair: "BALLOON_CHANGE" and "query-balloon" tell.

        value: bytes that the guest shall have; more than it was started with means all of them

        Errors:
        - If there is no balloon, DeviceNotActive
        - If the host's KVM cannot take memory from a guest, KVMMissingCap
        - If the value is not positive, InvalidParameterValue
        """
        await self.call(COMMANDS["balloon"], BalloonArguments(value=value))

    async def query_chardev(self) -> list[ChardevInfo]:
        """Describe the machine's character devices.

        Returns: one entry per device
        """
        result: list[ChardevInfo] = await self.call(COMMANDS["query-chardev"], None)
        return result

    async def query_chardev_backends(self) -> list[ChardevBackendInfo]:
        """List the kinds of character device there are.

        Returns: one entry per kind
        """
        result: list[ChardevBackendInfo] = await self.call(COMMANDS["query-chardev-backends"], None)
        return result

    async def ringbuf_write(self, device: str, data: str, format: DataFormat | None = None) -> None:
        """Put bytes into a ring buffer character device, as though its user had written them. What does not
        fit displaces the oldest bytes.

        device: the ring buffer's id

        data: the bytes, in `format`

        format: how the bytes are encoded (default: utf8)

        Errors:
        - If there is no such character device, DeviceNotFound
        - If it is not a ring buffer, or `data` is not base64, GenericError
        """
        await self.call(
            COMMANDS["ringbuf-write"],
            RingbufWriteArguments(device=device, data=data, format=UNSET if format is None else format),
        )

    async def ringbuf_read(self, device: str, size: int, format: DataFormat | None = None) -> str:
        """Take bytes out of a ring buffer character device, the oldest first.

        device: the ring buffer's id

        size: how many bytes at most

        format: how the bytes are to be encoded (default: utf8). In utf8, bytes that are no text are
        returned as U+FFFD, and a character that `size` would cut is returned whole

        Returns: the bytes, in `format`

        Errors:
        - If there is no such character device, DeviceNotFound
        - If it is not a ring buffer, GenericError
        - If `size` is not positive, InvalidParameterValue
        """
        result: str = await self.call(
            COMMANDS["ringbuf-read"],
            RingbufReadArguments(device=device, size=size, format=UNSET if format is None else format),
        )
        return result

    async def qom_list(self, path: str) -> list[ObjectPropertyInfo]:
        """List the properties of an object, its children among them.

        path: where the object is. A path that begins with a slash counts from the root; any other one is
        looked for in the whole tree and has to fit in one place only.

        Returns: the properties

        Errors:
        - If there is no such object, DeviceNotFound
        - If the path fits in several places, GenericError
        """
        result: list[ObjectPropertyInfo] = await self.call(COMMANDS["qom-list"], QomListArguments(path=path))
        return result

    async def qom_get(self, path: str, property: str) -> Any:
        """Tell the value of a property.

        path: where the object is; see "qom-list"

        property: the property's name

        Returns: the value, as its type has it in JSON

        Errors:
        - If there is no such object, DeviceNotFound
        - If there is no such property, GenericError
        """
        result: Any = await self.call(COMMANDS["qom-get"], QomGetArguments(path=path, property=property))
        return result

    async def qom_set(self, path: str, property: str, value: Any) -> None:
        """Give a property another value.

        path: where the object is; see "qom-list"

        property: the property's name

        value: the value, as the property's type has it in JSON

        Errors:
        - If there is no such object, DeviceNotFound
        - If the property cannot be written, or not any more, GenericError
        - If the value does not fit, InvalidParameterType or
          InvalidParameterValue
        """
        await self.call(COMMANDS["qom-set"], QomSetArguments(path=path, property=property, value=value))

    async def qom_list_types(
        self,
        implements: str | None = None,
        abstract: bool | None = None,
    ) -> list[ObjectTypeInfo]:
        """List types of objects.

        implements: only types that derive from this one (or offer the interface of this name)

        abstract: abstract types too (default: false)

        Returns: the types, in no order; none where nothing fits
        """
        result: list[ObjectTypeInfo] = await self.call(
            COMMANDS["qom-list-types"],
            QomListTypesArguments(implements=UNSET if implements is None else implements, abstract=UNSET if abstract is None else abstract),
        )
        return result

    async def qom_list_properties(self, typename: str) -> list[ObjectPropertyInfo]:
        """List the properties that every object of a type has.

        typename: the type

        Returns: the properties

        Errors: - If there is no such type, DeviceNotFound
        """
        result: list[ObjectPropertyInfo] = await self.call(COMMANDS["qom-list-properties"], QomListPropertiesArguments(typename=typename))
        return result

    async def object_add(self, arguments: ObjectOptions) -> None:
        """Make an object.

        Errors:
        - If the id is taken or is no identifier, or the object cannot be
          made, GenericError
        """
        await self.call(COMMANDS["object-add"], arguments)

    async def object_del(self, id: str) -> None:
        """Remove an object that was made by "object-add" or on the command line.

        id: what it is called

        Errors: - If there is no such object, or something uses it, GenericError
        """
        await self.call(COMMANDS["object-del"], ObjectDelArguments(id=id))

    async def device_list_properties(self, typename: str) -> list[ObjectPropertyInfo]:
        """List the properties of a type of devices that "device_add" takes, and those that its devices have
        beside what all devices have.

        typename: the type

        Returns: the properties

        Errors:
        - If there is no such type, DeviceNotFound
        - If it is no type of devices, or an abstract one,
          InvalidParameterValue
        """
        result: list[ObjectPropertyInfo] = await self.call(COMMANDS["device-list-properties"], DeviceListPropertiesArguments(typename=typename))
        return result

    async def device_add(self, arguments: dict[str, Any]) -> None:
        """Plug a device in. Beside the members listed here the arguments have the settings of the device's
        type, as words or JSON values; see "device-list-properties".

        driver: the device's type

        bus: the bus that it goes on, by name or path (default: the first that fits)

        id: what it is called; one without cannot be found by name again

        Errors:
        - If the type, the bus or a setting does not exist or does not fit,
          the id is taken, or the device cannot be plugged in while the
          guest runs, GenericError
        """
        await self.execute("device_add", arguments)

    async def device_del(self, id: str) -> None:
        """Have a device taken out. The command only asks: where the guest has a say in it the device goes
        when the guest lets it, which "DEVICE_DELETED" tells. A guest that does not listen never lets it.

        id: what the device is called, or its path

        Errors:
        - If there is no such device, DeviceNotFound
        - If it cannot be taken out while the guest runs, or the guest has
          been asked already, GenericError
        """
        await self.call(COMMANDS["device_del"], DeviceDelArguments(id=id))

    async def query_pci(self) -> list[PciInfo]:
        """List the functions on the PCI buses.

        Returns: each root bus with what is on it and behind its bridges; an empty list for a machine
        without PCI
        """
        result: list[PciInfo] = await self.call(COMMANDS["query-pci"], None)
        return result

    async def human_monitor_command(self, command_line: str, cpu_index: int | None = None) -> str:
        """Run one line on the human monitor. Every call is a session of its own: what a line sets up (the
        vCPU chosen by "cpu") is forgotten with the next.

        command_line: the line

        cpu_index: the vCPU that the line means where it names none (default: 0)

        Returns: what the monitor would have shown, errors included

        Errors: - If there is no such vCPU, InvalidParameterValue
        """
        result: str = await self.call(
            COMMANDS["human-monitor-command"],
            HumanMonitorCommandArguments(command_line=command_line, cpu_index=UNSET if cpu_index is None else cpu_index),
        )
        return result

    async def query_command_line_options(self, option: str | None = None) -> list[CommandLineOptionInfo]:
        """Describe the command line that this machine was started with. A machine that no command line has
        started answers with an empty list.

        option: only this one

        Returns: the options whose argument has parameters

        Errors: - If there is no such option, GenericError
        """
        result: list[CommandLineOptionInfo] = await self.call(
            COMMANDS["query-command-line-options"],
            QueryCommandLineOptionsArguments(option=UNSET if option is None else option),
        )
        return result

    async def query_iothreads(self) -> list[IOThreadInfo]:
        """List the I/O threads.

        Returns: one entry per thread
        """
        result: list[IOThreadInfo] = await self.call(COMMANDS["query-iothreads"], None)
        return result

    async def set_link(self, name: str, up: bool) -> None:
        """Plug the cable of a network adapter or back end in or out. The adapter's guest is told where the
        adapter can tell it; frames are dropped meanwhile.

        name: id of the adapter or of the back end

        up: true plugs it in

        Errors:
        - If there is neither an adapter nor a back end of that name,
          DeviceNotFound
        """
        await self.call(COMMANDS["set_link"], SetLinkArguments(name=name, up=up))

    async def netdev_add(self, arguments: Netdev) -> None:
        """Make a network back end, for a network adapter that is added after it.

        Errors:
        - If there is one of that id, or an option is wrong or cannot be met,
          GenericError
        """
        await self.call(COMMANDS["netdev_add"], arguments)

    async def netdev_del(self, id: str) -> None:
        """Remove a network back end. An adapter that uses it stays, without a cable.

        id: its name

        Errors: - If there is none of that name, DeviceNotFound
        """
        await self.call(COMMANDS["netdev_del"], NetdevDelArguments(id=id))

    async def query_rx_filter(self, name: str | None = None) -> list[RxFilterInfo]:
        """Tell which frames adapters pass to their guest. Asking rearms NIC_RX_FILTER_CHANGED.

        name: id of one adapter; all that can tell unless given

        Returns: one entry for each adapter

        Errors:
        - If there is no adapter of that name or it cannot tell,
          GenericError
        """
        result: list[RxFilterInfo] = await self.call(
            COMMANDS["query-rx-filter"],
            QueryRxFilterArguments(name=UNSET if name is None else name),
        )
        return result

    async def announce_self(self, arguments: AnnounceParameters) -> None:
        """Have adapters send frames that make switches learn where they are, as after a migration. Returns at
        once.

        Errors:
        - If a number is out of its bounds (pauses up to 100000, 1000 rounds),
          InvalidParameterValue
        """
        await self.call(COMMANDS["announce-self"], arguments)

    async def job_pause(self, id: str) -> None:
        """Stop a job for a while. It stops at the next point where it can.

        id: the job

        Errors: - If there is no such job, or it was paused already, GenericError
        """
        await self.call(COMMANDS["job-pause"], JobPauseArguments(id=id))

    async def job_resume(self, id: str) -> None:
        """Let a paused job go on.

        id: the job

        Errors: - If there is no such job, or it was not paused, GenericError
        """
        await self.call(COMMANDS["job-resume"], JobResumeArguments(id=id))

    async def job_cancel(self, id: str) -> None:
        """End a job soon, without its result, as soon as it can stop.

        id: the job

        Errors: - If there is no such job, or it is over already, GenericError
        """
        await self.call(COMMANDS["job-cancel"], JobCancelArguments(id=id))

    async def job_complete(self, id: str) -> None:
        """End a job that is ready, with its result.

        id: the job

        Errors: - If there is no such job, or it is not ready, GenericError
        """
        await self.call(COMMANDS["job-complete"], JobCompleteArguments(id=id))

    async def job_dismiss(self, id: str) -> None:
        """Forget a job that is over.

        id: the job

        Errors: - If there is no such job, or it is not over, GenericError
        """
        await self.call(COMMANDS["job-dismiss"], JobDismissArguments(id=id))

    async def job_finalize(self, id: str) -> None:
        """Take the last step of a pending job, and of all jobs of its transaction.

        id: the job

        Errors: - If there is no such job, or it is not pending, GenericError
        """
        await self.call(COMMANDS["job-finalize"], JobFinalizeArguments(id=id))

    async def query_jobs(self) -> list[JobInfo]:
        """List all jobs.

        Returns: every job that has not been dismissed
        """
        result: list[JobInfo] = await self.call(COMMANDS["query-jobs"], None)
        return result

    async def send_key(self, keys: list[KeyValue], hold_time: int | None = None) -> None:
        """Press keys one after the other, hold them, and let go in reverse order. The command does not wait
        for that.

        keys: the keys

        hold_time: milliseconds of guest time for which they are held (default: 100)

        Errors: - If more keys wait to be pressed than anybody types, GenericError
        """
        await self.call(
            COMMANDS["send-key"],
            SendKeyArguments(keys=keys, hold_time=UNSET if hold_time is None else hold_time),
        )

    async def input_send_event(
        self,
        events: list[InputEvent],
        device: str | None = None,
        head: int | None = None,
    ) -> None:
        """Do as if a user had done something. Each event goes to the device that takes its kind; all of one
        command count as one movement.

        device: the display whose devices are meant; a machine without displays has none

        head: which screen of it

        events: what the user did

        Errors:
        - If there is no such display, DeviceNotFound
        - If the guest does not run, GenericError
        """
        await self.call(
            COMMANDS["input-send-event"],
            InputSendEventArguments(device=UNSET if device is None else device, head=UNSET if head is None else head, events=events),
        )

    async def query_mice(self) -> list[MouseInfo]:
        """List the mice and tablets.

        Returns: one entry per device
        """
        result: list[MouseInfo] = await self.call(COMMANDS["query-mice"], None)
        return result

    async def query_block_jobs(self) -> list[BlockJobInfo]:
        """List the jobs that work on block nodes.

        Returns: every such job that has not been dismissed
        """
        result: list[BlockJobInfo] = await self.call(COMMANDS["query-block-jobs"], None)
        return result

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
    ) -> None:
        """Copy what the images below hold into an image, so that it needs them no more. The image shows the
        same bytes before, during and after. At the end it names another image, or none, as its backing
        file.

        job_id: id of the job, the device's name unless given (since 2.7)

        device: device or node that is streamed into

        base: file name of an image below that stays (since 1.1)

        base_node: node of that image (since 2.8)

        backing_file: how the image is to name its new backing file, by default as the image that names it
        now does (since 2.1)

        bottom: the lowest node that is copied from, instead of `base` or `base-node` (since 6.0)

        speed: limit in bytes per second, 0 for none (since 1.1)

        on_error: what follows when an image cannot be read or written (since 1.3)

        filter_node_name: name of the node that stands before the image meanwhile (since 6.0)

        auto_finalize: whether it takes the last step by itself, true unless given (since 3.1)

        auto_dismiss: whether it is forgotten by itself, true unless given (since 3.1)

        Errors:
        - If there is no such device, DeviceNotFound
        - If the base is not below it, BaseNotFound
        - If another job works on the images, DeviceInUse
        """
        await self.call(
            COMMANDS["block-stream"],
            BlockStreamArguments(job_id=UNSET if job_id is None else job_id, device=device, base=UNSET if base is None else base, base_node=UNSET if base_node is None else base_node, backing_file=UNSET if backing_file is None else backing_file, bottom=UNSET if bottom is None else bottom, speed=UNSET if speed is None else speed, on_error=UNSET if on_error is None else on_error, filter_node_name=UNSET if filter_node_name is None else filter_node_name, auto_finalize=UNSET if auto_finalize is None else auto_finalize, auto_dismiss=UNSET if auto_dismiss is None else auto_dismiss),
        )

    async def block_stream_former(self, device: str, base: str | None = None) -> None:
        """An older spelling of `block-stream`.

        device: device that is streamed into

        base: file name of an image below that stays

        Errors:
        - If there is no such device, DeviceNotFound
        - If the base is not below it, BaseNotFound
        - If another job works on the images, DeviceInUse
        """
        await self.call(
            COMMANDS["block_stream"],
            BlockStreamFormerArguments(device=device, base=UNSET if base is None else base),
        )

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
    ) -> None:
        """Move what images hold into one below them, so that they are needed no more. When the topmost image
        is among them the job gets ready instead of ending, and the device changes over to the image below
        when it is completed.

        job_id: id of the job, the device's name unless given (since 2.7)

        device: device or node whose chain this is

        base_node: node that is written to, by default the lowest (since 3.1)

        base: file name of that image

        top_node: the uppermost node whose content is moved, by default the topmost of the chain (since
        3.1)

        top: file name of that image

        backing_file: how the image above `top` is to name its new backing file (since 2.1)

        speed: limit in bytes per second, 0 for none

        on_error: what follows when an image cannot be read or written (since 5.0)

        filter_node_name: name of the node that stands before `top` meanwhile (since 2.9)

        auto_finalize: whether it takes the last step by itself, true unless given (since 3.1)

        auto_dismiss: whether it is forgotten by itself, true unless given (since 3.1)

        Errors:
        - If there is no such device, DeviceNotFound
        - If the base is not below it, BaseNotFound
        - If another job works on the images, DeviceInUse
        """
        await self.call(
            COMMANDS["block-commit"],
            BlockCommitArguments(job_id=UNSET if job_id is None else job_id, device=device, base_node=UNSET if base_node is None else base_node, base=UNSET if base is None else base, top_node=UNSET if top_node is None else top_node, top=UNSET if top is None else top, backing_file=UNSET if backing_file is None else backing_file, speed=UNSET if speed is None else speed, on_error=UNSET if on_error is None else on_error, filter_node_name=UNSET if filter_node_name is None else filter_node_name, auto_finalize=UNSET if auto_finalize is None else auto_finalize, auto_dismiss=UNSET if auto_dismiss is None else auto_dismiss),
        )

    async def drive_mirror(self, arguments: DriveMirror) -> None:
        """Keep a file equal to a disk. The job gets ready when the file has caught up. Completed, the device
        changes over to the file; cancelled without force when ready, the file is left as the disk was at
        that moment.

        Errors:
        - If there is no such device, DeviceNotFound
        - If another job works on the images, DeviceInUse
        """
        await self.call(COMMANDS["drive-mirror"], arguments)

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
    ) -> None:
        """Keep a node equal to a disk, as `drive-mirror` does with a file.

        job_id: id of the job, the device's name unless given (since 2.7)

        device: device or node that is mirrored

        target: node that is written

        replaces: node that the mirror takes the place of, by default the device's topmost

        sync: which part is copied

        speed: limit in bytes per second, 0 for none

        granularity: bytes that are copied as one where they were written to, a power of two

        buf_size: memory for data on their way, in bytes

        on_source_error: what follows when the device cannot be read

        on_target_error: what follows when the node cannot be written

        filter_node_name: name of the node that stands before the device's topmost meanwhile (since 2.9)

        copy_mode: when writes reach the mirror, `background` unless given (since 3.0)

        auto_finalize: whether it takes the last step by itself, true unless given (since 3.1)

        auto_dismiss: whether it is forgotten by itself, true unless given (since 3.1)

        Errors:
        - If there is no such device, DeviceNotFound
        - If another job works on the images, DeviceInUse
        """
        await self.call(
            COMMANDS["blockdev-mirror"],
            BlockdevMirrorArguments(job_id=UNSET if job_id is None else job_id, device=device, target=target, replaces=UNSET if replaces is None else replaces, sync=sync, speed=UNSET if speed is None else speed, granularity=UNSET if granularity is None else granularity, buf_size=UNSET if buf_size is None else buf_size, on_source_error=UNSET if on_source_error is None else on_source_error, on_target_error=UNSET if on_target_error is None else on_target_error, filter_node_name=UNSET if filter_node_name is None else filter_node_name, copy_mode=UNSET if copy_mode is None else copy_mode, auto_finalize=UNSET if auto_finalize is None else auto_finalize, auto_dismiss=UNSET if auto_dismiss is None else auto_dismiss),
        )

    async def drive_backup(self, arguments: DriveBackup) -> None:
        """Copy a disk into a file as it is at this moment, whatever is written to it meanwhile.

        Errors:
        - If there is no such device, DeviceNotFound
        - If another job works on the images, DeviceInUse
        """
        await self.call(COMMANDS["drive-backup"], arguments)

    async def blockdev_backup(self, arguments: BlockdevBackup) -> None:
        """Copy a disk into a node as it is at this moment, whatever is written to it meanwhile.

        Errors:
        - If there is no such device, DeviceNotFound
        - If another job works on the images, DeviceInUse
        """
        await self.call(COMMANDS["blockdev-backup"], arguments)

    async def block_job_set_speed(self, device: str, speed: int) -> None:
        """Change a block job's limit. It has its effect at once.

        device: the job

        speed: limit in bytes per second, 0 for none

        Errors: - If there is no such job, DeviceNotActive
        """
        await self.call(
            COMMANDS["block-job-set-speed"],
            BlockJobSetSpeedArguments(device=device, speed=speed),
        )

    async def block_job_set_speed_former(self, device: str, value: int) -> None:
        """An older spelling of `block-job-set-speed`.

        device: the job

        value: limit in bytes per second, 0 for none

        Errors: - If there is no such job, DeviceNotActive
        """
        await self.call(
            COMMANDS["block_job_set_speed"],
            BlockJobSetSpeedFormerArguments(device=device, value=value),
        )

    async def block_job_cancel(self, device: str, force: bool | None = None) -> None:
        """End a block job. A mirror that is ready ends well, with a target that is as the device was at that
        moment, unless `force` is given.

        device: the job

        force: end it without result, also when it is paused (since 1.3)

        Errors: - If there is no such job, DeviceNotActive
        """
        await self.call(
            COMMANDS["block-job-cancel"],
            BlockJobCancelArguments(device=device, force=UNSET if force is None else force),
        )

    async def block_job_cancel_former(self, device: str) -> None:
        """An older spelling of `block-job-cancel`.

        device: the job

        Errors:
        - If there is no such job, DeviceNotActive
        - If it was cancelled already, DeviceInUse
        """
        await self.call(COMMANDS["block_job_cancel"], BlockJobCancelFormerArguments(device=device))

    async def block_job_pause(self, device: str) -> None:
        """Stop a block job for a while.

        device: the job

        Errors: - If there is no such job, DeviceNotActive
        """
        await self.call(COMMANDS["block-job-pause"], BlockJobPauseArguments(device=device))

    async def block_job_resume(self, device: str) -> None:
        """Let a block job go on that was paused, or has stopped for an error.

        device: the job

        Errors: - If there is no such job, DeviceNotActive
        """
        await self.call(COMMANDS["block-job-resume"], BlockJobResumeArguments(device=device))

    async def block_job_complete(self, device: str) -> None:
        """End a block job that is ready, with its effect.

        device: the job

        Errors: - If there is no such job, DeviceNotActive
        """
        await self.call(COMMANDS["block-job-complete"], BlockJobCompleteArguments(device=device))

    async def block_job_dismiss(self, id: str) -> None:
        """Forget a block job that is over.

        id: the job

        Errors: - If there is no such job, DeviceNotActive
        """
        await self.call(COMMANDS["block-job-dismiss"], BlockJobDismissArguments(id=id))

    async def block_job_finalize(self, id: str) -> None:
        """Take the last step of a pending block job, and of all jobs of its transaction.

        id: the job

        Errors: - If there is no such job, DeviceNotActive
        """
        await self.call(COMMANDS["block-job-finalize"], BlockJobFinalizeArguments(id=id))

    async def blockdev_add(self, arguments: dict[str, Any]) -> None:
        """Open a block node. It stays until `blockdev-del`.

        Further members are the driver's options; children ("file", "backing") are given as options in turn
        or as the name of a node that is open.

        driver: a format, protocol or filter

        node_name: its name

        Errors: - If it cannot be opened, or the name is taken, GenericError
        """
        await self.execute("blockdev-add", arguments)

    async def blockdev_del(self, node_name: str) -> None:
        """Close a node that `blockdev-add` has opened.

        node_name: the node

        Errors: - If there is no such node, or it is in use, GenericError
        """
        await self.call(COMMANDS["blockdev-del"], BlockdevDelArguments(node_name=node_name))

    async def blockdev_reopen(self, options: list[Any]) -> None:
        """Give nodes other options: whether they are read-only, what becomes of discards and of written
        zeros, and which node is their backing file. Either all of them change or none does.

        options: for each node its driver, its name and all of its options, as `blockdev-add` takes them;
        others than those named above must be as they are

        Errors: - If there is no such node, or an option cannot change, GenericError
        """
        await self.call(COMMANDS["blockdev-reopen"], BlockdevReopenArguments(options=options))

    async def block_resize(self, size: int, device: str | None = None, node_name: str | None = None) -> None:
        """Give a disk another size while the guest runs, which is told of it. What is behind the new end of a
        smaller one is lost.

        device: the drive

        node_name: the block node, where no drive is named (since 2.0)

        size: in bytes

        Errors:
        - If there is no such drive or node, DeviceNotFound
        - If there is no medium, DeviceHasNoMedium
        - If the size is negative, InvalidParameterValue
        - If the image cannot be written, DeviceIsReadOnly
        - If its format has a fixed size, Unsupported
        - If a job or somebody else relies on the size, DeviceInUse
        """
        await self.call(
            COMMANDS["block_resize"],
            BlockResizeArguments(device=UNSET if device is None else device, node_name=UNSET if node_name is None else node_name, size=size),
        )

    async def eject(
        self,
        device: str | None = None,
        id: str | None = None,
        force: bool | None = None,
    ) -> None:
        """Take the medium out of a device and leave the tray open. Without a medium that is a success too.

        device: the drive's name

        id: the device's id or path, instead of `device` (since 2.8)

        force: do it even if the guest has locked the medium; false unless given

        Errors:
        - If there is no such device, DeviceNotFound
        - If its medium stays, DeviceNotRemovable
        - If the guest has locked it, DeviceLocked
        """
        await self.call(
            COMMANDS["eject"],
            EjectArguments(device=UNSET if device is None else device, id=UNSET if id is None else id, force=UNSET if force is None else force),
        )

    async def change(self, device: str, target: str, arg: str | None = None) -> None:
        """Put another image into a drive, or change the settings of the VNC server.

        device: the drive's name, or "vnc"

        target: the image's file name

        arg: its format, guessed unless given

        Errors:
        - If there is no such device, DeviceNotFound
        - If the format is not known, InvalidBlockFormat
        - If the image needs a key, DeviceEncrypted; it is in the drive then, and
          waits for `block_passwd`
        """
        await self.call(
            COMMANDS["change"],
            ChangeArguments(device=device, target=target, arg=UNSET if arg is None else arg),
        )

    async def blockdev_open_tray(
        self,
        device: str | None = None,
        id: str | None = None,
        force: bool | None = None,
    ) -> None:
        """Open a device's tray. A guest that has locked it is asked to let go of the medium, and the tray
        opens when it does. Nothing happens to a device without a tray, or with an open one.

        device: the drive's name

        id: the device's id or path, instead of `device` (since 2.8)

        force: open it even if the guest has locked it; false unless given

        Errors:
        - If there is no such device, DeviceNotFound
        - If its medium stays, DeviceNotRemovable
        """
        await self.call(
            COMMANDS["blockdev-open-tray"],
            BlockdevOpenTrayArguments(device=UNSET if device is None else device, id=UNSET if id is None else id, force=UNSET if force is None else force),
        )

    async def blockdev_close_tray(self, device: str | None = None, id: str | None = None) -> None:
        """Close a device's tray. Nothing happens to a device without a tray, or with a closed one.

        device: the drive's name

        id: the device's id or path, instead of `device` (since 2.8)

        Errors:
        - If there is no such device, DeviceNotFound
        - If its medium stays, DeviceNotRemovable
        """
        await self.call(
            COMMANDS["blockdev-close-tray"],
            BlockdevCloseTrayArguments(device=UNSET if device is None else device, id=UNSET if id is None else id),
        )

    async def blockdev_remove_medium(self, id: str) -> None:
        """Take the medium out of a device whose tray is open, or that has none.

        id: the device's id or path

        Errors:
        - If there is no such device, DeviceNotFound
        - If its medium stays, DeviceNotRemovable
        - If the tray is closed, GenericError
        """
        await self.call(COMMANDS["blockdev-remove-medium"], BlockdevRemoveMediumArguments(id=id))

    async def blockdev_insert_medium(self, id: str, node_name: str) -> None:
        """Put a block node as the medium into a device whose tray is open, or that has none.

        id: the device's id or path

        node_name: the node

        Errors:
        - If there is no such device, DeviceNotFound
        - If its medium stays, DeviceNotRemovable
        - If the tray is closed, or there is a medium, GenericError
        """
        await self.call(
            COMMANDS["blockdev-insert-medium"],
            BlockdevInsertMediumArguments(id=id, node_name=node_name),
        )

    async def blockdev_change_medium(
        self,
        filename: str,
        device: str | None = None,
        id: str | None = None,
        format: str | None = None,
        force: bool | None = None,
        read_only_mode: BlockdevChangeReadOnlyMode | None = None,
    ) -> None:
        """Put another image into a drive: open the tray, take the medium out, put the image in, close the
        tray.

        device: the drive's name

        id: the device's id or path, instead of `device` (since 2.8)

        filename: the image's file name

        format: its format, guessed unless given

        force: do it even if the guest has locked the medium; false unless given (since 7.1)

        read_only_mode: whether it can be written, `retain` unless given

        Errors:
        - If there is no such device, DeviceNotFound
        - If its medium stays, DeviceNotRemovable
        - If the guest has locked it, DeviceLocked
        - If the format is not known, InvalidBlockFormat
        """
        await self.call(
            COMMANDS["blockdev-change-medium"],
            BlockdevChangeMediumArguments(device=UNSET if device is None else device, id=UNSET if id is None else id, filename=filename, format=UNSET if format is None else format, force=UNSET if force is None else force, read_only_mode=UNSET if read_only_mode is None else read_only_mode),
        )

    async def block_set_io_throttle(self, arguments: BlockIOThrottle) -> None:
        """Set the limits of a drive. All of them are replaced; none at all takes the drive out of its
        throttle group. Requests that wait go by the new limits.

        Errors:
        - If there is no such device, DeviceNotFound
        - If the limits exclude each other or are out of range,
          InvalidParameterCombination
        """
        await self.call(COMMANDS["block_set_io_throttle"], arguments)

    async def query_block(self) -> list[BlockInfo]:
        """Describe the drives and the guest's disks."""
        result: list[BlockInfo] = await self.call(COMMANDS["query-block"], None)
        return result

    async def query_named_block_nodes(self, flat: bool | None = None) -> list[BlockDeviceInfo]:
        """Describe all block nodes.

        flat: leave out the images below each one's (since 5.0)
        """
        result: list[BlockDeviceInfo] = await self.call(
            COMMANDS["query-named-block-nodes"],
            QueryNamedBlockNodesArguments(flat=UNSET if flat is None else flat),
        )
        return result

    async def query_blockstats(self, query_nodes: bool | None = None) -> list[BlockStats]:
        """Tell what has been read and written.

        query_nodes: tell of each block node instead of each drive (since 2.3)
        """
        result: list[BlockStats] = await self.call(
            COMMANDS["query-blockstats"],
            QueryBlockstatsArguments(query_nodes=UNSET if query_nodes is None else query_nodes),
        )
        return result

    async def block_latency_histogram_set(
        self,
        id: str,
        boundaries: list[int] | None = None,
        boundaries_read: list[int] | None = None,
        boundaries_write: list[int] | None = None,
        boundaries_flush: list[int] | None = None,
    ) -> None:
        """Count how long a guest's requests take, in new histograms. Without any boundaries there are none
        from now on.

        id: the guest's device: its id or its place in the object tree

        boundaries: times in nanoseconds, rising, for all requests that are not named otherwise

        boundaries_read: for reads

        boundaries_write: for writes

        boundaries_flush: for flushes

        Errors:
        - If there is no such device, DeviceNotFound
        - If boundaries do not rise from above 0, GenericError; nothing has
          changed
        """
        await self.call(
            COMMANDS["block-latency-histogram-set"],
            BlockLatencyHistogramSetArguments(id=id, boundaries=UNSET if boundaries is None else boundaries, boundaries_read=UNSET if boundaries_read is None else boundaries_read, boundaries_write=UNSET if boundaries_write is None else boundaries_write, boundaries_flush=UNSET if boundaries_flush is None else boundaries_flush),
        )

    async def block_set_write_threshold(self, node_name: str, write_threshold: int) -> None:
        """Be told by `BLOCK_WRITE_THRESHOLD` of the next write to a block node that ends behind an offset: of
        the growth of an image whose device is to grow in time.

        node_name: the node

        write_threshold: the offset in bytes, 0 to be told no more

        Errors: - If there is no such node, GenericError
        """
        await self.call(
            COMMANDS["block-set-write-threshold"],
            BlockSetWriteThresholdArguments(node_name=node_name, write_threshold=write_threshold),
        )

    async def x_debug_query_block_graph(self) -> XDbgBlockGraph:
        """Describe the whole graph of disks, for those who look for a mistake in it."""
        result: XDbgBlockGraph = await self.call(COMMANDS["x-debug-query-block-graph"], None)
        return result

    async def block_passwd(
        self,
        password: str,
        device: str | None = None,
        node_name: str | None = None,
    ) -> None:
        """Give a drive whose image is encrypted its key. An image that -drive names without a key-secret, and
        one that `change` has put in, waits for it; until then the guest does not start. Images encrypted
        as in 2012 open with any password, and show wrong data with a wrong one; the key may then be given
        again.

        device: the drive's name

        node_name: a block node, instead of `device` (since 2.0)

        password: the password

        Errors:
        - If there is no such device, DeviceNotFound
        - If neither the image nor one below it is encrypted, DeviceNotEncrypted
        - If the password opens an image not, InvalidPassword
        """
        await self.call(
            COMMANDS["block_passwd"],
            BlockPasswdArguments(device=UNSET if device is None else device, node_name=UNSET if node_name is None else node_name, password=password),
        )

    async def blockdev_snapshot_sync(
        self,
        snapshot_file: str,
        device: str | None = None,
        node_name: str | None = None,
        snapshot_node_name: str | None = None,
        format: str | None = None,
        mode: NewImageMode | None = None,
    ) -> None:
        """Keep a disk as it is now: a new image takes its place, with the image that it has used as the
        backing file. The guest sees the same bytes and goes on writing, into the new image.

        device: the device

        node_name: the node, instead of a device (since 2.0)

        snapshot_file: name of the file

        snapshot_node_name: name of the new node (since 2.0)

        format: format of the new image, `qcow2` unless given

        mode: whether the file holds an image already, `absolute-paths` unless given (since 1.1)

        Errors:
        - If there is no such device, DeviceNotFound
        - If the file cannot be made or opened, OpenFileFailed
        - If there is no such format, InvalidBlockFormat
        """
        await self.call(
            COMMANDS["blockdev-snapshot-sync"],
            BlockdevSnapshotSyncArguments(device=UNSET if device is None else device, node_name=UNSET if node_name is None else node_name, snapshot_file=snapshot_file, snapshot_node_name=UNSET if snapshot_node_name is None else snapshot_node_name, format=UNSET if format is None else format, mode=UNSET if mode is None else mode),
        )

    async def blockdev_snapshot(self, node: str, overlay: str) -> None:
        """Keep a disk as it is now: an open node takes its place and has it as the backing file.

        node: device or node that is kept as it is

        overlay: node that takes its place; it has no backing file

        Errors:
        - If there is no such device, DeviceNotFound
        - If another job works on it, DeviceInUse
        """
        await self.call(COMMANDS["blockdev-snapshot"], BlockdevSnapshotArguments(node=node, overlay=overlay))

    async def blockdev_snapshot_internal_sync(self, device: str, name: str) -> None:
        """Keep a disk as it is now in its own image, whose format must know snapshots.

        device: device or node

        name: what the snapshot is called; no other one of the image may be

        Errors:
        - If there is no such device, DeviceNotFound
        - If the image cannot have it, or has one of that name, GenericError
        """
        await self.call(
            COMMANDS["blockdev-snapshot-internal-sync"],
            BlockdevSnapshotInternalSyncArguments(device=device, name=name),
        )

    async def blockdev_snapshot_delete_internal_sync(
        self,
        device: str,
        id: str | None = None,
        name: str | None = None,
    ) -> SnapshotInfo:
        """Delete a snapshot from an image. Where both are given the snapshot has that id and that name.

        device: device or node

        id: the snapshot's id

        name: the snapshot's name

        Returns: what has been deleted

        Errors:
        - If there is no such device, DeviceNotFound
        - If there is no such snapshot, GenericError
        """
        result: SnapshotInfo = await self.call(
            COMMANDS["blockdev-snapshot-delete-internal-sync"],
            BlockdevSnapshotDeleteInternalSyncArguments(device=device, id=UNSET if id is None else id, name=UNSET if name is None else name),
        )
        return result

    async def block_dirty_bitmap_add(self, arguments: BlockDirtyBitmapAdd) -> None:
        """Record from now on which parts of a disk are written, all being clean now.

        Errors:
        - If there is no such node, DeviceNotFound
        - If the name is taken, or the image cannot store it, GenericError
        """
        await self.call(COMMANDS["block-dirty-bitmap-add"], arguments)

    async def block_dirty_bitmap_remove(self, arguments: BlockDirtyBitmap) -> None:
        """Forget a dirty bitmap, in the image as well.

        Errors: - If there is no such bitmap, or an operation uses it, GenericError
        """
        await self.call(COMMANDS["block-dirty-bitmap-remove"], arguments)

    async def block_dirty_bitmap_clear(self, arguments: BlockDirtyBitmap) -> None:
        """Mark everything clean in a dirty bitmap.

        Errors: - If there is no such bitmap, or an operation uses it, GenericError
        """
        await self.call(COMMANDS["block-dirty-bitmap-clear"], arguments)

    async def block_dirty_bitmap_enable(self, arguments: BlockDirtyBitmap) -> None:
        """Record writes in a dirty bitmap.

        Errors: - If there is no such bitmap, or an operation uses it, GenericError
        """
        await self.call(COMMANDS["block-dirty-bitmap-enable"], arguments)

    async def block_dirty_bitmap_disable(self, arguments: BlockDirtyBitmap) -> None:
        """Record no writes in a dirty bitmap.

        Errors: - If there is no such bitmap, or an operation uses it, GenericError
        """
        await self.call(COMMANDS["block-dirty-bitmap-disable"], arguments)

    async def block_dirty_bitmap_merge(self, arguments: BlockDirtyBitmapMerge) -> None:
        """Mark in a dirty bitmap what others have marked.

        Errors: - If there is no such bitmap, or an operation uses it, GenericError
        """
        await self.call(COMMANDS["block-dirty-bitmap-merge"], arguments)

    async def x_debug_block_dirty_bitmap_sha256(self, arguments: BlockDirtyBitmap) -> BlockDirtyBitmapSha256:
        """The sum of a dirty bitmap's bits, for tests.

        Returns: the sum

        Errors: - If there is no such bitmap, GenericError
        """
        result: BlockDirtyBitmapSha256 = await self.call(COMMANDS["x-debug-block-dirty-bitmap-sha256"], arguments)
        return result

    async def transaction(
        self,
        actions: list[TransactionAction],
        properties: TransactionProperties | None = None,
    ) -> None:
        """Do several things to any number of disks at one moment, or none of them: when one fails all disks
        are as they were, and files that were made for it are gone. Nobody writes to the disks concerned
        meanwhile.

        actions: what is done, in this order

        properties: how that is to be understood (since 2.5)

        Errors: - If an action fails, what its command answers
        """
        await self.call(
            COMMANDS["transaction"],
            TransactionArguments(actions=actions, properties=UNSET if properties is None else properties),
        )

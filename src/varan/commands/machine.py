"""Handlers of schema/machine.json."""

from __future__ import annotations

import asyncio

from varan.accel import registry as accelerators
from varan.api.values import (
    BalloonInfo,
    CpuDefinitionInfo,
    CpuInfo,
    CpuInfoFast,
    CpuInstanceProperties,
    CpuModelExpansionInfo,
    CpuModelExpansionType,
    CpuModelInfo,
    CurrentMachineParams,
    HostMemPolicy,
    HotpluggableCPU,
    KvmInfo,
    MachineInfo,
    Memdev,
    MemoryInfo,
    NameInfo,
    SysEmuTarget,
    TargetInfo,
    UuidInfo,
    X8664CpuInfoFast,
)
from varan.commands import cpumodels, dump
from varan.commands.registry import handler
from varan.commands.whole_file import WholeFile
from varan.devices.backends.memory import MemoryBackend
from varan.devices.balloon import Balloon
from varan.errors import DeviceNotActive, GenericError, InvalidParameterValue, KVMMissingCap, Unsupported
from varan.machine import machinetypes
from varan.machine.cpus import cpu_type
from varan.machine.machine import DEFAULT_MEMORY, Machine
from varan.machine.machinetypes import MachineObject
from varan.machine.vcpus import VcpuHandle

BALLOON_STATISTICS = (
    "mem_swapped_in",
    "mem_swapped_out",
    "major_page_faults",
    "minor_page_faults",
    "free_mem",
    "total_mem",
)
"""Members of BalloonInfo by the tag of the statistic."""


def find_vcpu(machine: Machine, index: int | None, parameter: str = "cpu-index") -> VcpuHandle:
    """The vCPU numbered `index` (None: the first). Raises InvalidParameterValue when there is none."""
    number = index or 0
    if not 0 <= number < len(machine.vcpus):
        raise InvalidParameterValue(parameter, "a CPU number")
    return machine.vcpus[number]


@handler("query-name")
async def query_name(machine: Machine) -> NameInfo:
    """Empty for a machine without a name."""
    return NameInfo(name=machine.name) if machine.name else NameInfo()


@handler("query-uuid")
async def query_uuid(machine: Machine) -> UuidInfo:
    """All zeros for a machine without one."""
    return UuidInfo(UUID=str(machine.uuid))


@handler("query-kvm")
async def query_kvm(machine: Machine) -> KvmInfo:
    """`present` comes from the host as it is now."""
    accelerator = machine.accelerator
    return KvmInfo(
        enabled=accelerator is not None and accelerator.name == "kvm",
        present=accelerators.load("kvm").availability().usable,
    )


@handler("query-target")
async def query_target(machine: Machine) -> TargetInfo:
    """Varan's guests are x86."""
    return TargetInfo(arch=SysEmuTarget.X86_64)


@handler("query-cpus")
async def query_cpus(machine: Machine) -> list[CpuInfo]:
    """Asks every vCPU."""
    answers = []
    for vcpu in machine.vcpus:
        pc, halted = await vcpu.glance()
        answers.append(
            CpuInfo(
                CPU=vcpu.index,
                current=vcpu.index == 0,
                halted=halted,
                pc=_signed(pc),
                thread_id=vcpu.thread_id,
            )
        )
    return answers


def _signed(address: int) -> int:
    """An address as the protocol's `int` carries it."""
    return (address + (1 << 63)) % (1 << 64) - (1 << 63)


@handler("query-cpus-fast")
async def query_cpus_fast(machine: Machine) -> list[CpuInfoFast]:
    """Asks no vCPU."""
    return [
        X8664CpuInfoFast(cpu_index=cpu.index, qom_path=cpu.path, thread_id=cpu.vcpu.thread_id, props=_place(cpu.place))
        for cpu in machine.cpu_objects
    ]


def _place(place: tuple[int, int, int]) -> CpuInstanceProperties:
    socket, core, thread = place
    return CpuInstanceProperties(socket_id=socket, core_id=core, thread_id=thread)


@handler("cpu")
async def cpu(machine: Machine, index: int) -> None:
    """Does nothing, as documented."""


@handler("memsave")
async def memsave(machine: Machine, val: int, size: int, filename: str, cpu_index: int | None = None) -> None:
    """Memory by virtual address, as the vCPU maps it."""
    vcpu = find_vcpu(machine, cpu_index)
    dump.check_size(size)
    async with WholeFile(filename) as file:
        await dump.save_virtual(vcpu, machine.memory, val, size, file)


@handler("pmemsave")
async def pmemsave(machine: Machine, val: int, size: int, filename: str) -> None:
    """Memory by physical address."""
    dump.check_size(size)
    async with WholeFile(filename) as file:
        await dump.save_physical(machine.memory, val, size, file)


@handler("inject-nmi")
async def inject_nmi(machine: Machine) -> None:
    """Every vCPU gets one."""
    if not machine.vcpus:
        raise Unsupported
    await machine.inject_nmi()


@handler("query-memory-size-summary")
async def query_memory_size_summary(machine: Machine) -> MemoryInfo:
    """Counted from what is mapped, not from what was asked for."""
    return MemoryInfo(base_memory=machine.memory.ram_size, plugged_memory=0)


@handler("query-memdev")
async def query_memdev(machine: Machine) -> list[Memdev]:
    """From the objects, the one that the machine made for itself among them."""
    backends = [found for found in machine.tree.objects.children.values() if isinstance(found, MemoryBackend)]
    return [_memdev(backend) for backend in backends]


def _memdev(backend: MemoryBackend) -> Memdev:
    given = backend.settings
    return Memdev(
        id=backend.name,
        size=given["size"],
        merge=given["merge"],
        dump=given["dump"],
        prealloc=given["prealloc"],
        share=given["share"],
        reserve=given["reserve"],
        host_nodes=list(given["host-nodes"]),
        policy=HostMemPolicy(given["policy"]),
    )


@handler("query-current-machine")
async def query_current_machine(machine: Machine) -> CurrentMachineParams:
    """A guest can sleep where the machine has ACPI."""
    return CurrentMachineParams(wakeup_suspend_support=machine.can_sleep)


@handler("query-machines")
async def query_machines(machine: Machine) -> list[MachineInfo]:
    """From the classes of the tree."""
    default_cpu = cpumodels.accelerator_of(machine).cpu_models()[0]
    return [_machine_info(cls, default_cpu) for cls in machinetypes.TYPES]


def _machine_info(cls: type[MachineObject], default_cpu: str) -> MachineInfo:
    name, *aliases = cls.names
    info = MachineInfo(
        name=name,
        cpu_max=cls.most_cpus,
        hotpluggable_cpus=cls.has_cpus,
        numa_mem_supported=False,
        deprecated=False,
    )
    if aliases:
        info.alias = aliases[0]
    if cls.is_default:
        info.is_default = True
    if cls.has_cpus:
        info.default_cpu_type = cpu_type(default_cpu).type_name
        info.default_ram_id = DEFAULT_MEMORY
    return info


@handler("query-hotpluggable-cpus")
async def query_hotpluggable_cpus(machine: Machine) -> list[HotpluggableCPU]:
    """Every place is taken."""
    if not machine.cpu_objects:
        raise GenericError("machine does not support hot-plugging CPUs")
    return [
        HotpluggableCPU(type=cpu.type_name, vcpus_count=1, props=_place(cpu.place), qom_path=cpu.path)
        for cpu in machine.cpu_objects
    ]


@handler("query-cpu-definitions")
async def query_cpu_definitions(machine: Machine) -> list[CpuDefinitionInfo]:
    """Each model is made and looked at, in a thread of its own."""
    return await asyncio.to_thread(cpumodels.definitions, cpumodels.accelerator_of(machine))


@handler("query-cpu-model-expansion")
async def query_cpu_model_expansion(
    machine: Machine, type: CpuModelExpansionType, model: CpuModelInfo
) -> CpuModelExpansionInfo:
    """The model is made and looked at."""
    return await asyncio.to_thread(cpumodels.expand, cpumodels.accelerator_of(machine), model)


def find_balloon(machine: Machine) -> Balloon:
    """The balloon. Raises DeviceNotActive when there is none, KVMMissingCap when it would do nothing."""
    accelerator = machine.accelerator
    if accelerator is not None and not accelerator.synchronous_mmu:
        raise KVMMissingCap("synchronous MMU", "balloon")
    for device in machine.peripherals.plugged.values():
        for found in (device, *device.inner):
            if isinstance(found, Balloon):
                return found
    raise DeviceNotActive("balloon")


@handler("query-balloon")
async def query_balloon(machine: Machine) -> BalloonInfo:
    """From the device as the guest has set it."""
    balloon = find_balloon(machine)
    with machine.lock:
        return BalloonInfo(actual=balloon.guest_bytes, **_memory_statistics(balloon))


def _memory_statistics(balloon: Balloon) -> dict[str, int]:
    """The statistics that the protocol once had here, where the guest knows them."""
    values = balloon.statistics
    return {name: values[tag] for tag, name in enumerate(BALLOON_STATISTICS) if values.get(tag, -1) >= 0}


@handler("balloon")
async def balloon(machine: Machine, value: int) -> None:
    """Asks; the guest answers when it likes."""
    found = find_balloon(machine)
    if value <= 0:
        raise InvalidParameterValue("target", "a size")
    with machine.lock:
        found.ask_for(value)

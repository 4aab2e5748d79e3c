from __future__ import annotations

import pytest
from tests.support.fake_machine import RAM_SIZE, FakeMachine

from varan.accel import registry as accelerators
from varan.accel.state import Segment
from varan.api.values import SysEmuTarget
from varan.commands import machine as handlers
from varan.core.memory import GuestRam
from varan.errors import GenericError, InvalidParameterValue, Unsupported
from varan.machine.spec import Topology


async def test_query_name_leaves_the_name_out_where_there_is_none() -> None:
    async with FakeMachine(name=None) as nameless:
        assert not (await handlers.query_name(nameless)).name


async def test_query_name_and_uuid(machine: FakeMachine) -> None:
    assert (await handlers.query_name(machine)).name == "lizard"
    assert (await handlers.query_uuid(machine)).UUID == "12345678-1234-5678-1234-567812345678"


@pytest.mark.parametrize("name", ["kvm", "unicorn"])
async def test_query_kvm_tells_what_runs_and_what_could(name: str) -> None:
    async with FakeMachine(accelerator=name) as machine:
        answer = await handlers.query_kvm(machine)
    assert answer.enabled == (name == "kvm")
    assert answer.present == accelerators.load("kvm").availability().usable


async def test_query_target_is_x86_64(machine: FakeMachine) -> None:
    assert (await handlers.query_target(machine)).arch is SysEmuTarget.X86_64


async def test_query_cpus_reads_pc_and_halted_from_the_cpus(machine: FakeMachine) -> None:
    machine.cpus[0].state.cs = Segment(0x10, 0x1000, 0xFFFFF, 0x9B)
    machine.cpus[0].state.rip = 0x234
    first, second = await handlers.query_cpus(machine)
    assert (first.CPU, first.current, first.halted, first.pc, first.thread_id) == (0, True, False, 0x1234, 4000)
    assert (second.CPU, second.current, second.halted, second.pc) == (1, False, True, 0xFFFFFFF0)


async def test_query_cpus_gives_kernel_addresses_as_signed_numbers(machine: FakeMachine) -> None:
    machine.cpus[0].state.cs = Segment()
    machine.cpus[0].state.rip = 0xFFFFFFFF81000000
    assert (await handlers.query_cpus(machine))[0].pc == 0xFFFFFFFF81000000 - (1 << 64)


async def test_query_cpus_fast_asks_no_cpu(machine: FakeMachine) -> None:
    def fail(work: object) -> None:
        raise AssertionError("the vCPU was disturbed")

    for thread in machine.threads:
        thread.call = fail  # type: ignore[method-assign, assignment]
    answers = await handlers.query_cpus_fast(machine)
    assert [(cpu.cpu_index, cpu.thread_id, cpu.target) for cpu in answers] == [
        (0, 4000, SysEmuTarget.X86_64),
        (1, 4001, SysEmuTarget.X86_64),
    ]
    assert [cpu.qom_path for cpu in answers] == [f"/machine/unattached/device[{index}]" for index in (0, 1)]


async def test_query_cpus_fast_places_cpus_by_the_topology() -> None:
    async with FakeMachine(cpus=8, topology=Topology(sockets=2, cores=2, threads=2)) as machine:
        props = [cpu.props for cpu in await handlers.query_cpus_fast(machine)]
    assert [(place.socket_id, place.core_id, place.thread_id) for place in props] == [  # type: ignore[union-attr]
        (socket, core, thread) for socket in (0, 1) for core in (0, 1) for thread in (0, 1)
    ]


async def test_cpu_does_nothing(machine: FakeMachine) -> None:
    await handlers.cpu(machine, 99)


async def test_inject_nmi_reaches_every_cpu(machine: FakeMachine) -> None:
    await handlers.inject_nmi(machine)
    assert [cpu.nmis for cpu in machine.cpus] == [1, 1]


async def test_inject_nmi_without_cpus_is_unsupported() -> None:
    async with FakeMachine(cpus=0) as machine:
        with pytest.raises(Unsupported):
            await handlers.inject_nmi(machine)


@pytest.mark.parametrize("index", [-1, 2, 1 << 40])
async def test_a_bad_cpu_index_names_the_parameter(machine: FakeMachine, index: int) -> None:
    with pytest.raises(InvalidParameterValue) as caught:
        await handlers.memsave(machine, 0, 1, "/nowhere/file", cpu_index=index)
    assert caught.value.data == {"name": "cpu-index", "expected": "a CPU number"}


async def test_memory_size_counts_ram_and_not_rom(machine: FakeMachine) -> None:
    rom = GuestRam(4096, "rom")
    machine.memory.map_ram(0xF0000000, rom, readonly=True)
    assert (await handlers.query_memory_size_summary(machine)).base_memory == RAM_SIZE
    machine.memory.unmap(0xF0000000)
    rom.close()


@pytest.mark.parametrize("acpi", [True, False])
async def test_guests_can_be_woken_where_they_can_sleep(machine: FakeMachine, acpi: bool) -> None:
    machine.can_sleep = acpi
    assert (await handlers.query_current_machine(machine)).wakeup_suspend_support is acpi


async def test_machine_types_are_listed_with_the_default(machine: FakeMachine) -> None:
    pc, none = await handlers.query_machines(machine)
    assert (pc.name, pc.alias, pc.is_default, pc.cpu_max) == ("pc-i440fx-7.0", "pc", True, 255)
    assert pc.default_ram_id == "pc.ram"
    assert (pc.default_cpu_type, pc.hotpluggable_cpus) == ("max-x86_64-cpu", True)
    assert (none.name, none.cpu_max, none.hotpluggable_cpus) == ("none", 1, False)


async def test_places_of_cpus_are_taken(machine: FakeMachine) -> None:
    places = await handlers.query_hotpluggable_cpus(machine)
    assert [place.qom_path for place in places] == [cpu.path for cpu in machine.cpu_objects]
    assert {place.type for place in places} == {"max-x86_64-cpu"}
    async with FakeMachine(cpus=0) as other:
        with pytest.raises(GenericError, match="machine does not support hot-plugging CPUs"):
            await handlers.query_hotpluggable_cpus(other)

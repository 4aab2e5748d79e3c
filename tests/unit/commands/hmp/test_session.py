from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.fake_machine import RAM_SIZE, FakeMachine

from varan.accel.base import Topology
from varan.api.values import RunState, ShutdownCause
from varan.board.interrupts import Interrupts
from varan.chardev.registry import create
from varan.commands.hmp.line import MAX_LINE
from varan.commands.hmp.registry import registry
from varan.commands.hmp.session import HmpSession, complete
from varan.core.clock import ManualClock, TimerQueue
from varan.core.state import Device, State
from varan.devices.irq.i8259 import ChipState
from varan.version import VERSION


@pytest.fixture
def session(machine: FakeMachine) -> HmpSession:
    return HmpSession(machine)  # type: ignore[arg-type]


@pytest.mark.parametrize("line", ["", "   ", "\t"])
async def test_an_empty_line_shows_nothing(session: HmpSession, line: str) -> None:
    assert await session.execute(line) == ""


@pytest.mark.parametrize("line", ["frobnicate", "info frobnicate", "/x 0", "INFO"])
async def test_an_unknown_command_is_named(session: HmpSession, line: str) -> None:
    assert f"unknown command: '{line}'" in await session.execute(line)


async def test_a_wrong_argument_shows_the_usage(session: HmpSession) -> None:
    shown = await session.execute("memsave 0")
    assert shown == "Error: missing argument: size\nUsage: memsave address size filename\n"


async def test_a_line_beyond_the_limit_is_refused(session: HmpSession) -> None:
    assert "line too long" in await session.execute("x" * (MAX_LINE + 1))


async def test_a_failing_command_becomes_text(session: HmpSession, machine: FakeMachine) -> None:
    machine.accelerator = object()
    shown = await session.execute("info kvm")
    assert shown.startswith("Error: internal error: AttributeError")


@pytest.mark.parametrize("word", ["help", "?"])
async def test_help_lists_every_command(session: HmpSession, word: str) -> None:
    shown = await session.execute(word)
    for name in {entry.name for entry in registry().top.values()}:
        assert f"{name}" in shown
    assert "x[/format] address -- " in shown
    assert "stop|s -- " in shown


async def test_help_explains_one_command(session: HmpSession) -> None:
    assert (await session.execute("help c")).startswith("cont|c -- ")
    assert (await session.execute("help info registers")).startswith("info registers [-a] -- ")
    assert "no command 'nosuch'" in await session.execute("help nosuch")


@pytest.mark.parametrize("line", ["info", "help info"])
async def test_info_lists_its_subjects(session: HmpSession, line: str) -> None:
    shown = await session.execute(line)
    assert [row.split(" ")[1] for row in shown.splitlines()] == sorted(registry().info)


def test_every_command_has_help_of_one_line() -> None:
    for entry in [*registry().top.values(), *registry().info.values()]:
        assert entry.help
        assert "\n" not in entry.help


async def test_info_answers_about_the_machine(session: HmpSession) -> None:
    assert await session.execute("info name") == "lizard\n"
    assert await session.execute("info uuid") == "12345678-1234-5678-1234-567812345678\n"
    assert await session.execute("info version") == f"7.0.0 (varan-{VERSION})\n"
    assert (await session.execute("info kvm")).startswith("kvm support: ")
    assert await session.execute("info accelerator") == "unicorn: runs nothing\n"
    assert await session.execute("info memory_size_summary") == (f"base memory: {RAM_SIZE}\nplugged memory: 0\n")


async def test_info_kvm_when_it_runs() -> None:
    async with FakeMachine(accelerator="kvm") as machine:
        assert await HmpSession(machine).execute("info kvm") == "kvm support: enabled\n"  # type: ignore[arg-type]


async def test_status_follows_stop_and_cont(session: HmpSession, machine: FakeMachine) -> None:
    shown = [await session.execute("info status")]
    for line in ("c", "stop", "cont", "s"):
        assert await session.execute(line) == ""
        shown.append(await session.execute("info status"))
    paused, running = "VM status: paused\n", "VM status: running\n"
    assert shown == ["VM status: paused (prelaunch)\n", running, paused, running, paused]


async def test_cont_says_why_it_cannot(session: HmpSession, machine: FakeMachine) -> None:
    machine.run_state.move(RunState.INMIGRATE)
    assert (await session.execute("cont")).startswith("Error: An incoming migration is expected")


async def test_reset_nmi_and_quit_reach_the_machine(session: HmpSession, machine: FakeMachine) -> None:
    for line in ("system_reset", "system_powerdown", "nmi", "q"):
        assert await session.execute(line) == ""
    assert (await session.execute("system_wakeup")).startswith("Error: Unable to wake up")
    assert machine.button_presses == 1
    assert machine.restarts == 1
    assert [cpu.nmis for cpu in machine.cpus] == [1, 1]
    assert machine.ended_by is ShutdownCause.HOST_QMP_QUIT


async def test_info_cpus_marks_the_chosen_cpu(session: HmpSession) -> None:
    assert await session.execute("info cpus") == (
        "* CPU #0: pc=0x00000000fffffff0 thread_id=4000\n  CPU #1: pc=0x00000000fffffff0 (halted) thread_id=4001\n"
    )
    await session.execute("cpu 1")
    assert (await session.execute("info cpus")).splitlines()[1].startswith("* CPU #1")


async def test_cpu_refuses_a_bad_number_and_keeps_the_choice(session: HmpSession) -> None:
    assert await session.execute("cpu 2") == "Error: Parameter 'index' expects a CPU number\n"
    assert session.cpu_index == 0


async def test_registers_are_the_chosen_cpus(session: HmpSession, machine: FakeMachine) -> None:
    machine.cpus[1].state.gprs[0] = 0xABCD
    assert "EAX=0000abcd" not in await session.execute("info registers")
    await session.execute("cpu 1")
    shown = await session.execute("info registers")
    assert "EAX=0000abcd" in shown
    assert shown.startswith("CPU#1\n")


async def test_registers_of_all_cpus(session: HmpSession) -> None:
    shown = await session.execute("info registers -a")
    assert shown.startswith("CPU#0\n")
    assert "\nCPU#1\n" in shown
    assert "MXCSR=" in shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("p 1+1", "0x2"),
        ("print $rax", "0x10"),
        ("p/d -1", "-1"),
        ("p/u -1", str((1 << 64) - 1)),
        ("p/x -1", "0xffffffffffffffff"),
        ("p/o 8", "010"),
        ("p/c 65", "'A'"),
        ("p ($eax + 1) * 2", "0x22"),
    ],
)
async def test_print(session: HmpSession, machine: FakeMachine, line: str, shown: str) -> None:
    machine.cpus[0].state.gprs[0] = 0x10
    assert await session.execute(line) == f"{shown}\n"


async def test_xp_shows_physical_memory(session: HmpSession, machine: FakeMachine) -> None:
    machine.ram.view[0x100:0x110] = struct.pack("<4I", 1, 2, 3, 0xFFFFFFFF)
    assert await session.execute("xp/4xw 0x100") == ("0000000000000100: 0x00000001 0x00000002 0x00000003 0xffffffff\n")
    assert await session.execute("xp/2dg 0x100") == ("0000000000000100:           8589934593          -4294967293\n")
    assert await session.execute("xp 0x104") == "0000000000000104: 0x00000002\n"


async def test_x_shows_memory_as_the_cpu_maps_it(session: HmpSession, machine: FakeMachine) -> None:
    machine.ram.view[0x3FFC:0x4000] = b"abcd"
    machine.map_page(0x7000, 0x3000)
    machine.cpus[0].state.gprs[4] = 0x7FFC
    assert await session.execute("x/4c $rsp") == "0000000000007ffc: 'a' 'b' 'c' 'd'\n"


async def test_x_stops_at_the_first_address_that_is_not_mapped(session: HmpSession, machine: FakeMachine) -> None:
    machine.map_page(0x7000, 0x3000)
    assert await session.execute("x/4xw 0x7ff8") == (
        "0000000000007ff8: 0x00000000 0x00000000\n0000000000008000: Cannot access memory\n"
    )
    assert await session.execute("x 0x9000") == "0000000000009000: Cannot access memory\n"


async def test_x_says_that_disassembly_is_not_built_in(session: HmpSession) -> None:
    assert "disassembly is not built in" in await session.execute("x/10i $rip")


async def test_gva2gpa(session: HmpSession, machine: FakeMachine) -> None:
    machine.map_page(0x7000, 0x3000)
    assert await session.execute("gva2gpa 0x7123") == "gpa: 0x3123\n"
    assert await session.execute("gva2gpa 0x8000") == "Unmapped\n"


async def test_memory_is_saved_without_and_with_quotes(
    session: HmpSession, machine: FakeMachine, tmp_path: Path
) -> None:
    machine.ram.view[0x1000:0x1004] = b"abcd"
    machine.map_page(0x7000, 0x1000, cpu=1)
    assert await session.execute(f"pmemsave 0x1000 4 {tmp_path}/plain") == ""
    await session.execute("cpu 1")
    assert await session.execute(f'memsave 0x7000 2+2 "{tmp_path}/with blank"') == ""
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "with blank").read_bytes() == b"abcd"


async def test_memsave_error_is_shown(session: HmpSession, tmp_path: Path) -> None:
    assert (await session.execute(f"memsave 0 4 {tmp_path}/file")).startswith("Error: Invalid addr")


async def test_info_mem_and_tlb(session: HmpSession, machine: FakeMachine) -> None:
    assert await session.execute("info mem") == await session.execute("info tlb") == "PG disabled\n"
    state = machine.cpus[0].state
    state.cr0, state.cr3, state.cr4, state.efer = 1 << 31 | 1, 0x1000, 1 << 5, 1 << 10
    for table, entry in ((0x1000, 0x2007), (0x2000, 0x3007), (0x3000, 0x4007)):
        struct.pack_into("<Q", machine.ram.view, table, entry)
    struct.pack_into("<3Q", machine.ram.view, 0x4000, 0x5003 | 1 << 63, 0x6003, 0x7067)
    assert await session.execute("info mem") == (
        "0000000000000000-0000000000002000 0000000000002000 -rw\n"
        "0000000000002000-0000000000003000 0000000000001000 urw\n"
    )
    assert (await session.execute("info tlb")).splitlines() == [
        "0000000000000000: 0000000000005000 X-------W",
        "0000000000001000: 0000000000006000 --------W",
        "0000000000002000: 0000000000007000 ---DA--UW",
    ]


async def test_info_mtree_shows_both_address_spaces(session: HmpSession, machine: FakeMachine) -> None:
    machine.ports.map(0x3F8, 8, lambda offset, size: 0, lambda *access: None, name="serial0")
    shown = await session.execute("info mtree")
    assert "  0000000000000000-00000000000fffff (ram): pc.ram @0000000000000000\n" in shown
    assert "  00000000000003f8-00000000000003ff (i/o): serial0\n" in shown


async def test_info_mtree_shows_flat_views_too(session: HmpSession) -> None:
    shown = await session.execute("info mtree -f")
    assert shown.startswith('FlatView #0\n AS "memory", root: system\n Root memory region: system\n')
    assert "  0000000000000000-00000000000fffff (ram): pc.ram\n" in shown
    assert '\n\nFlatView #1\n AS "I/O", root: io\n' in shown


@pytest.mark.parametrize("name", ["pic", "lapic", "irq"])
async def test_machines_without_interrupt_controllers_show_none(session: HmpSession, name: str) -> None:
    assert await session.execute(f"info {name}") == "Error: this machine has no interrupt controllers\n"


async def test_interrupt_controllers_are_shown(session: HmpSession, machine: FakeMachine) -> None:
    machine.board.interrupts = made = Interrupts(Topology(cores=2), ManualClock(), TimerQueue())
    made.pic.state.master.imr = 0xB8
    made.lines.line(1)(1)
    lines = (await session.execute("info pic")).splitlines()
    assert lines[-1] == "pic0: irr=02 imr=b8 isr=00 hprio=0 irq_base=00 elcr=00 inputs=02"
    assert (await session.execute("info lapic")).startswith("dumping local APIC state for CPU 0\n")
    assert (await session.execute("info lapic 1")).startswith("dumping local APIC state for CPU 1\n")
    assert await session.execute("info lapic 7") == "Error: there is no local APIC with number 7\n"
    assert await session.execute("info irq") == "IRQ statistics for ioapic:\nIRQ statistics for isa-i8259:\n 1: 1\n"


async def test_info_devices_shows_declared_state(session: HmpSession, machine: FakeMachine) -> None:
    class DiskState(State):
        busy: bool = False
        sector: int = 0x200
        name: str = "sda"
        ring: bytes = bytes(100)
        queue: list[int] = []  # noqa: RUF012
        chips: list[ChipState] = []  # noqa: RUF012

    class Disk(Device[DiskState]):
        state_type = DiskState

    machine.board.devices["disk"] = disk = Disk()
    disk.state.queue = list(range(65))
    disk.state.chips = [ChipState(imr=7)]
    assert await session.execute("info devices") == "disk\n"
    shown = (await session.execute("info devices disk")).splitlines()
    assert shown[:3] == ["busy=false", "sector=0x200", "name=sda"]
    assert shown[3] == f"ring={'00' * 64}... (100 bytes)"
    assert shown[4].endswith("0x3f ... (65 items)")
    assert "chips[0].imr=0x7" in shown
    assert (await session.execute("info devices none")).startswith("Error: there is no device 'none'")


async def test_ring_buffers(session: HmpSession, machine: FakeMachine) -> None:
    machine.chardevs["ring"] = create("ringbuf", "ring", {})
    assert await session.execute("info chardev") == "ring: filename=ringbuf\n"
    assert await session.execute("ringbuf_write ring hello  there") == ""
    assert await session.execute("ringbuf_read ring 100") == "hello  there\n"
    assert await session.execute("ringbuf_read nosuch 1") == "Error: Device 'nosuch' not found\n"


async def test_a_machine_without_cpus_says_so() -> None:
    async with FakeMachine(cpus=0) as machine:
        session = HmpSession(machine)  # type: ignore[arg-type]
        for line in ("x 0", "info registers", "info mem", "p $rip", "memsave 0 1 f"):
            assert await session.execute(line) == "Error: this machine has no CPU\n", line
        assert (await session.execute("nmi")).startswith("Error: ")
        assert await session.execute("info cpus") == ""


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("", sorted(registry().top)),
        ("info ", sorted(registry().info)),
        ("help info ", sorted(registry().info)),
        ("help ", sorted(registry().top)),
        ("memsave 0 ", []),
    ],
)
def test_completion(text: str, choices: list[str]) -> None:
    assert complete(text) == choices


@given(
    st.one_of(
        st.text(max_size=60),
        st.builds(
            lambda name, rest: f"{name}{rest}",
            st.sampled_from(sorted({*registry().top} - {"memsave", "pmemsave"})),
            st.text(alphabet=" /xdgi0129abc$rip()+-*%&|^~'\"\\\n", max_size=30),
        ),
    )
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_line_raises(line: str) -> None:
    async with FakeMachine() as machine:
        shown = await HmpSession(machine).execute(line)  # type: ignore[arg-type]
    assert "internal error" not in shown
    assert shown == "" or shown.endswith("\n")

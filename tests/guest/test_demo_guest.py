"""The demonstration guest does on every accelerator what docs/guest.md says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.bare_machine import BareMachine

from varan.accel.base import ExitReason
from varan.guest import image

MIB = 1 << 20
CLOCK_TOLERANCE = timedelta(seconds=30)


@pytest.fixture
def guest(accelerator: str) -> Iterator[BareMachine]:
    """The guest at its first prompt."""
    with BareMachine(accelerator, memory=16 * MIB, demo=True) as machine:
        machine.expect("varan> ")
        yield machine


def test_banner_tells_how_much_memory_there_is(accelerator: str) -> None:
    with BareMachine(accelerator, memory=20 * MIB, demo=True) as machine:
        banner = machine.expect("varan> ")
    assert "Varan demonstration guest\n20 MiB of memory, vCPU " in banner


def test_help_lists_every_command(guest: BareMachine) -> None:
    text = guest.command("help")
    names = re.findall(r"^  (\w+)", text, re.MULTILINE)
    assert {"ticks", "mem", "dirty", "nmi", "halt", "reset", "triple", "crash"} <= set(names)


def test_memory_commands_give_what_the_host_reads(guest: BareMachine) -> None:
    assert guest.command("fill 0x300000 4096 0xab") == "filled 4096 bytes at 0x300000 with 0xab"
    assert guest.memory.read_bytes(0x300000 - 1, 4098) == b"\0" + b"\xab" * 4096 + b"\0"
    assert guest.command("sum 0x300000 4096") == f"sum of 4096 bytes at 0x300000: {0xAB * 4096:#x}"
    assert guest.command("poke 3145728 0x123456789abcdef0") == "0x300000: 0x123456789abcdef0"
    assert guest.memory.read(0x300000, 8) == 0x123456789ABCDEF0
    guest.memory.write_ram(0x300000, (7).to_bytes(8, "little"))
    assert guest.command("peek 0x300000") == "0x300000: 0x7"


def test_mem_fills_with_its_pattern_and_reports_the_checksum(guest: BareMachine) -> None:
    expected = f"mem: 1048576 bytes from 0x200000, checksum {image.checksum(MIB):#x}, 0 errors"
    assert guest.command("mem") == expected
    assert guest.memory.read(0x200008, 8) == 0x200008 * image.PATTERN % (1 << 64)


def test_a_machine_with_little_memory_tests_low_memory(accelerator: str) -> None:
    with BareMachine(accelerator, memory=MIB, demo=True) as machine:
        machine.expect("varan> ")
        size = 0x80000 - 0x30000
        expected = f"mem: {size} bytes from 0x30000, checksum {image.checksum(size, 0x30000):#x}, 0 errors"
        assert machine.command("mem") == expected


def test_a_line_can_be_edited(guest: BareMachine) -> None:
    guest.type("nonsense\x15echo wrr\x7f\x7for\b\x08right\n")
    assert "\nwright\n" in guest.expect("\nvaran> ")
    guest.type("nonsense\x03")
    guest.expect("nonsense^C\nvaran> ")
    guest.type("echo " + "x" * 200 + "\r\n")
    assert guest.expect("\nvaran> ").count("x") == 2 * (120 - len("echo "))


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("", ""),
        ("   echo  two  words", "two  words"),
        ("bogus", "unknown command: bogus; try help"),
        ("ech", "unknown command: ech; try help"),
        ("peek", "usage: peek ADDR - show 8 bytes as a number"),
        ("peek 12z", "usage: peek ADDR - show 8 bytes as a number"),
        ("fill 0x300000 1 256", "usage: fill ADDR LEN BYTE - fill memory with a byte"),
        ("mem 0", "usage: mem [MIB] - fill MIB MiB (1) with a pattern and check it"),
    ],
)
def test_lines_that_are_no_command_are_answered(guest: BareMachine, line: str, answer: str) -> None:
    assert guest.command(line) == answer


def test_ticks_come_100_times_a_second(guest: BareMachine) -> None:
    address = image.symbols()["ticks"]
    before, start = guest.counter(address), guest.clock.now()
    time.sleep(0.5)
    ticks, seconds = guest.counter(address) - before, (guest.clock.now() - start) / 1e9
    assert 0.5 * seconds * 100 <= ticks <= seconds * 100 + 2
    assert re.fullmatch(r"\d+ ticks", guest.command("ticks"))
    assert re.fullmatch(r"\d+\.\d\d s", guest.command("uptime"))


def test_time_is_the_real_time_clock(guest: BareMachine) -> None:
    shown = datetime.strptime(guest.command("time"), "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - shown) < CLOCK_TOLERANCE


def test_nmi_is_counted_and_announced(guest: BareMachine) -> None:
    assert guest.command("nmi") == "0 NMI"
    guest.inject_nmi()
    guest.expect("NMI received\n")
    assert guest.command("nmi") == "1 NMI"
    assert guest.counter(image.symbols()["nmi_count"]) == 1


def test_nmi_reaches_a_guest_that_halted_with_interrupts_off(guest: BareMachine) -> None:
    guest.type("halt\r")
    guest.expect("halted\n")
    guest.inject_nmi()
    guest.expect("NMI received\n")
    guest.wait_halted()
    ticks = guest.counter(image.symbols()["ticks"])
    time.sleep(0.05)
    assert guest.halted
    assert guest.counter(image.symbols()["ticks"]) == ticks


def test_dirty_writes_pages_in_order_until_stop(guest: BareMachine) -> None:
    assert guest.command("dirty 1000") == "dirtying 1000 pages per second from 0x200000"
    time.sleep(0.3)
    found = re.fullmatch(r"dirtied (\d+) pages", guest.command("stop"))
    assert found
    pages = int(found[1])
    assert pages >= 50
    assert [guest.memory.read(image.TEST_START + 4096 * index, 8) for index in range(50)] == list(range(1, 51))
    time.sleep(0.05)
    assert guest.command("dirty") == f"dirtied {pages} pages"


def test_dirty_starts_again_at_the_end_of_memory(accelerator: str) -> None:
    with BareMachine(accelerator, memory=3 * MIB, demo=True) as machine:
        machine.expect("varan> ")
        machine.command("dirty 25600")
        address = image.symbols()["dirty_total"]
        while machine.counter(address) <= 256:
            time.sleep(0.01)
        machine.command("stop")
        total = machine.counter(address)
        last = (total - 1) % 256
        assert machine.memory.read(image.TEST_START + 4096 * last, 8) == total


def test_spin_keeps_the_cpu_busy_until_a_key(guest: BareMachine) -> None:
    guest.type("spin\r")
    guest.expect("any key ends it\n")
    spin_loop = image.symbols()["spin_loop"]
    assert not guest.halted
    pc = guest.thread.call(lambda: guest.vcpu.pc).result()
    assert spin_loop <= pc < spin_loop + 64 or pc < image.LOAD_ADDRESS + len(image.demo())
    guest.type(" ")
    guest.expect("done\nvaran> ")


def test_idle_sleeps_without_ticks_until_a_key(guest: BareMachine) -> None:
    guest.type("idle\r")
    guest.expect("any key ends it\n")
    guest.wait_halted()
    ticks = guest.counter(image.symbols()["ticks"])
    time.sleep(0.1)
    assert guest.halted
    assert guest.counter(image.symbols()["ticks"]) == ticks
    guest.type(" ")
    guest.expect("done\nvaran> ")


def test_hang_can_be_stopped_from_outside_and_reset(guest: BareMachine) -> None:
    guest.type("hang\r")
    guest.expect("hanging\n")
    time.sleep(0.02)
    assert not guest.halted
    guest.reset()
    guest.expect("varan> ")


def test_crash_panics_on_serial_and_debug_console_and_halts(guest: BareMachine) -> None:
    guest.type("crash\r")
    guest.expect("guest panic: invalid opcode (exception 6, error code 0x0)\n")
    guest.expect("cr2 0000000000000000\n")
    assert "guest panic: invalid opcode" in guest.debug_text
    guest.wait_halted()


def test_an_address_that_is_not_mapped_gives_a_page_fault(guest: BareMachine) -> None:
    guest.type("peek 0x123456789000\r")
    guest.expect("guest panic: page fault (exception 14, error code 0x0)\n")
    guest.expect("cr2 0000123456789000\n")


def test_an_address_that_is_not_canonical_gives_a_general_protection_fault(guest: BareMachine) -> None:
    guest.type("peek 0x8000000000000000\r")
    guest.expect("guest panic: general protection (exception 13, error code 0x0)\n")


def test_triple_fault_ends_the_run(guest: BareMachine) -> None:
    guest.type("triple\r")
    guest.wait("exits")
    assert [exit.reason for exit in guest.exits] == [ExitReason.SHUTDOWN]


def test_reset_comes_back_with_counters_at_zero(guest: BareMachine) -> None:
    guest.inject_nmi()
    guest.expect("NMI received\n")
    guest.type("reset\r")
    guest.wait("resets")
    guest.reset()
    guest.expect("Varan demonstration guest")
    guest.expect("varan> ")
    assert guest.command("nmi") == "0 NMI"


def test_nothing_says_on_serial_and_debug_console_what_to_do(accelerator: str) -> None:
    with BareMachine(accelerator, memory=MIB) as machine:
        line = machine.expect("\n")
        assert line.startswith("Nothing to boot: give a Linux kernel with -kernel FILE")
        machine.wait_halted()
        assert machine.debug_text == line

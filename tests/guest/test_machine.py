"""Machines from start to end, seen from Python."""

from __future__ import annotations

import asyncio
import re
import time

from tests.guest.conftest import PROMPT

from varan.accel.state import Activity
from varan.api import events
from varan.api.values import RebootAction, RunState, ShutdownAction, ShutdownCause
from varan.embed.vm import Machine

TSC = 0x10


async def ask(vm: Machine, line: str, answer: str) -> re.Match[str]:
    """Type `line`; the answer that matches, with the guest back at its prompt."""
    vm.serial.send_line(line)
    match = await vm.serial.expect(re.compile(answer))
    await vm.serial.expect(PROMPT)
    return match


async def test_the_guest_computes_what_the_host_computes(guest: Machine) -> None:
    data = bytes(range(256)) * 4
    guest.memory.write(0x1000000, data)
    answer = await ask(guest, "sum 0x1000000 1024", r"sum of 1024 bytes at 0x1000000: 0x([0-9a-f]+)\s")
    assert int(answer[1], 16) == sum(data)


async def test_what_the_guest_writes_is_in_memory(guest: Machine) -> None:
    await ask(guest, "poke 0x1000000 0x1122334455667788", "poke")
    assert guest.memory.read_int(0x1000000, 8) == 0x1122334455667788


async def test_the_guest_fills_and_checks_memory_without_errors(guest: Machine) -> None:
    answer = await ask(guest, "mem 4", r"mem: (\d+) bytes .* (\d+) errors")
    assert answer.groups() == ("4194304", "0")


async def test_of_a_long_paste_into_a_busy_guest_nothing_is_lost(guest: Machine, accelerator: str) -> None:
    # Busy for longer than it takes the port to hand over more than the guest has room for.
    busy = "mem 1\r" if accelerator == "kvm" else "mem 16\r" * 6
    printed = bytearray()
    guest.serial.on_output(printed.extend)
    guest.serial.write(busy + "".join(f"echo line {number}\r" for number in range(500)) + "echo the end\r")
    await guest.serial.expect(re.compile(r"\nthe end\s"))
    answers = re.findall(rb"^line (\d+)\r?$", printed, re.MULTILINE)
    assert [int(answer) for answer in answers] == list(range(500))


async def test_a_paused_guest_stands_still_and_its_time_with_it(guest: Machine) -> None:
    await ask(guest, "ticks", r"(\d+) ticks")
    await guest.pause()
    before = await guest.cpus[0].get_state()
    memory = guest.memory[0x10000:0x20000]
    await asyncio.sleep(0.1)
    after = await guest.cpus[0].get_state()
    # The time-stamp counter follows the host.
    assert {**after.msrs, TSC: 0} == {**before.msrs, TSC: 0}
    after.msrs = before.msrs
    assert after == before
    assert guest.memory[0x10000:0x20000] == memory
    await guest.resume()
    began = time.monotonic()
    first = int((await ask(guest, "ticks", r"(\d+) ticks"))[1])
    await guest.pause()
    await asyncio.sleep(0.5)
    await guest.resume()
    second = int((await ask(guest, "ticks", r"(\d+) ticks"))[1])
    running = time.monotonic() - began - 0.5
    assert second - first < running * 100 + 5


async def test_the_timer_interrupts_the_guest_all_the_time(guest: Machine) -> None:
    first = int((await ask(guest, "ticks", r"(\d+) ticks"))[1])
    async with asyncio.timeout(20):
        while int((await ask(guest, "ticks", r"(\d+) ticks"))[1]) < first + 5:
            pass


async def test_a_busy_guest_can_be_looked_at_paused_and_resumed(guest: Machine) -> None:
    guest.serial.send_line("spin")
    await guest.serial.expect("spin")
    for _ in range(50):
        pc, halted = await guest.cpus[0].glance()
        assert pc < 0x2000000
        assert not halted
    await guest.pause()
    await guest.resume()
    guest.serial.write("x")
    await guest.serial.expect(PROMPT)


async def test_an_nmi_reaches_the_guests_handler(guest: Machine) -> None:
    await guest.qmp.inject_nmi()
    await guest.serial.expect("NMI received")
    assert (await ask(guest, "nmi", r"(\d+) NMI"))[1] == "1"


async def test_an_nmi_wakes_a_guest_that_has_halted_for_ever(guest: Machine) -> None:
    guest.serial.send_line("halt")
    async with asyncio.timeout(20):
        while not (await guest.cpus[0].glance()).halted:
            await asyncio.sleep(0.01)
    await guest.qmp.inject_nmi()
    await guest.serial.expect("NMI received")


async def test_the_guests_reset_and_its_triple_fault_restart_it(guest: Machine) -> None:
    async with guest.qmp.listen() as seen:
        for command in ("reset", "triple"):
            guest.serial.send_line(command)
            event = await anext(seen)
            assert event == events.Reset(guest=True, reason=ShutdownCause.GUEST_RESET)
            await guest.serial.expect("demonstration guest")
            await guest.serial.expect(PROMPT)


async def test_a_guest_with_its_timer_at_full_speed_can_still_be_paused_and_reset(guest: Machine) -> None:
    await guest.pause()
    # out 0x43, 0x34; out 0x40, 2; out 0x40, 0: every two ticks of the PIT; jmp self
    guest.memory.write(0x300000, bytes.fromhex("b034 e643 b002 e640 b000 e640 ebfe"))
    state = await guest.cpus[0].get_state()
    state.rip, state.activity = 0x300000, Activity.RUNNING
    await guest.cpus[0].set_state(state)
    async with asyncio.timeout(20):
        await guest.resume()
        await asyncio.sleep(0.05)
        await guest.pause()
        await guest.resume()
        await guest.reset()
    await guest.serial.expect(PROMPT)


async def test_system_reset_restarts_a_running_guest(guest: Machine) -> None:
    guest.serial.send_line("hang")
    await guest.serial.expect("hang")
    await guest.qmp.system_reset()
    await guest.serial.expect("demonstration guest")
    assert guest.status is RunState.RUNNING


async def test_a_reset_gives_the_guest_its_memory_image_anew(guest: Machine) -> None:
    image = guest.memory[0x10000:0x11000]
    guest.memory.write(0x10000, bytes(4096))
    await guest.reset()
    await guest.serial.expect(PROMPT)
    assert guest.memory[0x10000:0x10040] == image[:64]


async def test_a_guest_that_may_not_reboot_ends_its_machine(vm: Machine) -> None:
    await vm.qmp.set_action(reboot=RebootAction.SHUTDOWN)
    await vm.start()
    await vm.serial.expect(PROMPT)
    vm.serial.send_line("reset")
    assert await vm.wait_closed() is ShutdownCause.GUEST_RESET


async def test_with_shutdown_set_to_pause_the_guests_end_can_be_looked_at(vm: Machine) -> None:
    await vm.qmp.set_action(reboot=RebootAction.SHUTDOWN, shutdown=ShutdownAction.PAUSE)
    async with vm.qmp.listen() as seen:
        await vm.start()
        await vm.serial.expect(PROMPT)
        vm.serial.send_line("triple")
        kinds = [type(await anext(seen)).NAME for _ in range(3)]
    assert kinds == ["RESUME", "SHUTDOWN", "STOP"]
    assert vm.status is RunState.SHUTDOWN
    assert b"Varan demonstration guest" in vm.memory[0x10000:0x20000]


async def test_virtual_addresses_are_read_through_the_guests_page_tables(guest: Machine) -> None:
    cpu = guest.cpus[0]
    assert await cpu.read_virtual(0x10000, 8192) == guest.memory[0x10000:0x12000]
    assert await cpu.translate(0x7FFF_0000_0000) is None


async def test_a_state_saved_in_the_middle_goes_on_after_a_reset(guest: Machine) -> None:
    guest.serial.send_line("spin")
    await guest.serial.expect("spin")
    await guest.pause()
    saved = await guest.cpus[0].get_state()
    await guest.cpus[0].call(lambda vcpu: vcpu.reset())
    assert (await guest.cpus[0].glance()).pc == 0xFFFFFFF0
    await guest.cpus[0].set_state(saved)
    await guest.resume()
    guest.serial.write("x")
    await guest.serial.expect(PROMPT)

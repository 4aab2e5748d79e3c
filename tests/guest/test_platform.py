"""Watchdogs, panics and small virtio devices with an unmodified kernel and its own drivers."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from tests.support.linux_guest import PATIENCE, linux, until

from varan.api import events
from varan.api.values import GuestPanicAction, PanicAction, RunState, ShutdownCause, WatchdogAction
from varan.embed.vm import Machine

pytestmark = pytest.mark.linux

READY = "GUEST-READY"
WATCHDOG = f"""
dev=$(grep -l 0x25ab /sys/bus/pci/devices/*/device | head -n 1)
dev=${{dev%/device}}
echo 1 > $dev/enable
base=$(head -n 1 $dev/resource | cut -d' ' -f1)
poke() {{ devmem $(($base + $1)) $2 $3; }}
unlocked() {{ poke 0xc 16 0x80; poke 0xc 16 0x86; poke $1 $2 $3; }}
echo before $(devmem $(($base + 0xc)) 16)
unlocked 0 32 100
unlocked 4 32 100
enable() {{ printf "\\\\$1" | dd of=$dev/config bs=1 seek=104 conv=notrunc 2>/dev/null; }}
echo {READY}
while read line; do enable 002; sleep 1; enable 000; echo still here; done
"""
"""Sets both stages to about a tenth of a second, and enables the timer for each line."""


async def ready(vm: Machine, answer: str = "go") -> None:
    await vm.serial.expect(READY, timeout=PATIENCE)
    vm.serial.send_line(answer)


async def test_the_watchdog_resets_a_machine_whose_guest_then_sees_why(tmp_path: Path) -> None:
    async with linux(tmp_path, WATCHDOG, devices=["i6300esb"]) as (vm, listener):
        await vm.serial.expect("before 0x0000", timeout=PATIENCE)
        await ready(vm)
        assert await until(listener, events.Watchdog) == events.Watchdog(action=WatchdogAction.RESET)
        assert await until(listener, events.Reset) == events.Reset(guest=True, reason=ShutdownCause.GUEST_RESET)
        await vm.serial.expect("before 0x0200", timeout=PATIENCE)


async def test_the_watchdog_does_what_it_is_told(tmp_path: Path) -> None:
    quiet = (WatchdogAction.NONE, WatchdogAction.DEBUG, WatchdogAction.INJECT_NMI, WatchdogAction.SHUTDOWN)
    async with linux(tmp_path, WATCHDOG, devices=["i6300esb"]) as (vm, listener):
        await vm.serial.expect(READY, timeout=PATIENCE)
        for action in quiet:
            await vm.qmp.watchdog_set_action(action=action)
            vm.serial.send_line("go")
            assert await until(listener, events.Watchdog) == events.Watchdog(action=action)
            if action is WatchdogAction.SHUTDOWN:
                await until(listener, events.Powerdown)
            await vm.serial.expect("still here", timeout=PATIENCE)
            assert vm.status is RunState.RUNNING
        await vm.qmp.watchdog_set_action(action=WatchdogAction.PAUSE)
        vm.serial.send_line("go")
        assert await until(listener, events.Watchdog) == events.Watchdog(action=WatchdogAction.PAUSE)
        await until(listener, events.Stop)
        assert vm.status is RunState.WATCHDOG


async def test_the_watchdog_powers_off(tmp_path: Path) -> None:
    async with linux(tmp_path, WATCHDOG, devices=["i6300esb"]) as (vm, listener):
        await vm.qmp.watchdog_set_action(action=WatchdogAction.POWEROFF)
        await ready(vm)
        await until(listener, events.Watchdog)
        assert await vm.wait_closed() is ShutdownCause.GUEST_SHUTDOWN


CRASH = f"""
echo {READY}
read line
echo c > /proc/sysrq-trigger
"""


async def test_a_kernel_that_panics_pauses_its_machine(tmp_path: Path) -> None:
    async with linux(tmp_path, CRASH, ["pvpanic-pci"], devices=["pvpanic-pci"]) as (vm, listener):
        await vm.qmp.set_action(panic=PanicAction.PAUSE)
        await ready(vm)
        assert await until(listener, events.GuestPanicked) == events.GuestPanicked(action=GuestPanicAction.PAUSE)
        await until(listener, events.Stop)
        assert vm.status is RunState.GUEST_PANICKED


async def test_a_kernel_that_panics_ends_its_machine(tmp_path: Path) -> None:
    async with linux(tmp_path, CRASH, ["pvpanic-pci"], devices=["pvpanic-pci"]) as (vm, listener):
        await ready(vm)
        assert await until(listener, events.GuestPanicked) == events.GuestPanicked(action=GuestPanicAction.POWEROFF)
        assert await vm.wait_closed() is ShutdownCause.GUEST_PANIC


RANDOM = """
cat /sys/class/misc/hw_random/rng_current
head -c 1000 /dev/hwrng > /tmp/a; head -c 1000 /dev/hwrng > /tmp/b
wc -c < /tmp/a
cmp -s /tmp/a /tmp/b || echo they differ
"""


@pytest.mark.parametrize("device", ["virtio-rng-pci", "virtio-rng-pci-non-transitional,packed=on"])
async def test_the_kernel_gets_random_bytes(tmp_path: Path, device: str) -> None:
    async with linux(tmp_path, RANDOM, ["virtio_pci", "virtio-rng"], devices=[device]) as (vm, _):
        await vm.serial.expect("virtio_rng.0\r\n1000\r\nthey differ\r\n", timeout=PATIENCE)


MEMORY = f"""
dd if=/dev/zero of=/tmp/ballast bs=1M count=120 2>/dev/null
rm /tmp/ballast
total() {{ grep -E "^MemTotal|^MemFree" /proc/meminfo | tr -s ' ' | cut -d' ' -f2 | tr '\\n' ' '; }}
echo {READY}
while read line; do echo memory $(total) end; done
"""
MIB = 1 << 20


def resident(vm: Machine) -> int:
    """Bytes of the guest's RAM that the host has given it."""
    ram = vm._whole.board.ram  # type: ignore[attr-defined]
    found = None
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            start, end = (int(word, 16) for word in line.split()[0].split("-"))
            found = start <= ram.address < end
        elif found and line.startswith("Rss:"):
            return int(line.split()[1]) << 10
    raise AssertionError("the guest's RAM is not mapped")


async def meminfo(vm: Machine) -> tuple[int, int]:
    """Total and free bytes, as the guest sees them."""
    vm.serial.send_line("look")
    found = await vm.serial.expect(re.compile(r"memory (\d+) (\d+) end"), timeout=PATIENCE)
    return int(found[1]) << 10, int(found[2]) << 10


async def until_guest_has(vm: Machine, size: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await vm.qmp.query_balloon()).actual != size:
            await asyncio.sleep(0.05)


async def test_a_guest_really_gives_memory_up_and_gets_it_back(tmp_path: Path) -> None:
    modules = ["virtio_pci", "virtio_balloon"]
    async with linux(tmp_path, MEMORY, modules, devices=["virtio-balloon-pci,id=b0"]) as (vm, listener):
        await vm.serial.expect(READY, timeout=PATIENCE)
        before, touched = await meminfo(vm), resident(vm)
        assert touched > 120 * MIB
        await vm.qmp.balloon(value=128 * MIB)
        await until_guest_has(vm, 128 * MIB)
        inflated = await meminfo(vm)
        assert before[0] - inflated[0] == 128 * MIB
        assert touched - resident(vm) > 60 * MIB
        assert (await until(listener, events.BalloonChange)).actual < 256 * MIB
        await vm.qmp.balloon(value=1 << 40)
        await until_guest_has(vm, 256 * MIB)
        assert (await meminfo(vm))[0] == before[0]


async def test_the_guest_tells_of_its_memory(tmp_path: Path) -> None:
    modules = ["virtio_pci", "virtio_balloon"]
    async with linux(tmp_path, MEMORY, modules, devices=["virtio-balloon-pci,id=b0"]) as (vm, _):
        await vm.serial.expect(READY, timeout=PATIENCE)
        path = "/machine/peripheral/b0"
        await vm.qmp.qom_set(path=path, property="guest-stats-polling-interval", value=1)
        total = (await meminfo(vm))[0]
        async with asyncio.timeout(PATIENCE):
            while (await vm.qmp.qom_get(path=path, property="guest-stats"))["stats"]["stat-total-memory"] != total:
                await asyncio.sleep(0.1)
        info = await vm.qmp.query_balloon()
        assert info.total_mem == total
        assert 0 < info.free_mem < total


async def test_the_guest_reports_free_pages(tmp_path: Path) -> None:
    modules = ["virtio_pci", "virtio_balloon"]
    device = "virtio-balloon-pci,free-page-reporting=on"
    async with linux(tmp_path, MEMORY, modules, devices=[device]) as (vm, _):
        await vm.serial.expect(READY, timeout=PATIENCE)
        async with asyncio.timeout(PATIENCE):
            while resident(vm) > 120 * MIB:
                await asyncio.sleep(0.1)

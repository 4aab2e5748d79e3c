"""The same Debian kernel through the front ends that people use: the Python object and the command line."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.initrd import make_initrd
from tests.support.kernel import need_busybox, need_kernel
from tests.support.program import Program, RawQmp

from varan.embed.vm import Machine

pytestmark = pytest.mark.linux

APPEND = "console=ttyS0 panic=-1 quiet nokaslr"
START = "THE-START"
DONE = "THE-END"
NUMBERS = "".join(f"{number}\n" for number in range(1, 20001)).encode()
WORK = f"""
echo {START}
seq 1 20000 > /tmp/numbers
md5sum < /tmp/numbers
gzip -c /tmp/numbers > /tmp/numbers.gz
gunzip -c /tmp/numbers.gz | sha256sum
i=0
while [ $i -lt 20 ]; do /bin/true && i=$((i + 1)); done
echo forks $i
echo {DONE}
read line
echo got $line
while :; do :; done
"""
ANSWER = [hashlib.md5(NUMBERS).hexdigest() + "  -", hashlib.sha256(NUMBERS).hexdigest() + "  -", "forks 20"]

KERNEL_VIRTUAL = 0xFFFFFFFF81000000
"""Where the kernel's text starts without address randomization: Documentation/x86/x86_64/mm.rst of Linux."""
KERNEL_PHYSICAL = 0x1000000
PAGES = 16 * 4096


@pytest.fixture
def initrd(tmp_path: Path) -> Path:
    path = tmp_path / "initrd"
    path.write_bytes(
        make_initrd(WORK + "read line\necho got $line\nwhile :; do :; done\n", need_busybox(), compress=True)
    )
    return path


def signed(address: int) -> int:
    """`address` as the protocol's signed 64-bit integer."""
    return address - (1 << 64) if address >> 63 else address


async def cpu_shows(vm: Machine, condition: Callable[[set[tuple[int, bool]]], bool]) -> bool:
    """Whether the program counters and halts that query-cpus reports come to meet `condition`."""
    seen: set[tuple[int, bool]] = set()
    for _ in range(1000):
        (cpu,) = await vm.qmp.query_cpus()
        assert isinstance(cpu.pc, int)
        seen.add((cpu.pc, cpu.halted))
        if condition(seen):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_linux_works_in_a_machine_object(initrd: Path, tmp_path: Path) -> None:
    kernel = str(need_kernel())
    async with Machine(kernel=kernel, initrd=str(initrd), append=APPEND, memory="256M", accel="unicorn") as vm:
        await vm.start()
        await vm.serial.expect(START, timeout=120)
        output = await vm.serial.expect(re.compile(f"(?s)(.*){DONE}"), timeout=120)
        assert output[1].split() == " ".join(ANSWER).split()
        await vm.qmp.stop()
        virtual, physical = tmp_path / "virtual", tmp_path / "physical"
        await vm.qmp.memsave(val=signed(KERNEL_VIRTUAL), size=PAGES, filename=str(virtual))
        await vm.qmp.pmemsave(val=KERNEL_PHYSICAL, size=PAGES, filename=str(physical))
        assert virtual.read_bytes() == physical.read_bytes() == vm.memory[KERNEL_PHYSICAL : KERNEL_PHYSICAL + PAGES]
        assert len(set(virtual.read_bytes())) > 100
        await vm.qmp.cont()
        assert await cpu_shows(vm, lambda seen: any(halted for _, halted in seen)), "an idle kernel halts its CPU"
        vm.serial.send_line("hello")
        await vm.serial.expect("got hello")
        assert await cpu_shows(vm, lambda seen: len({pc for pc, halted in seen if not halted}) > 5)


def test_linux_works_from_the_command_line(initrd: Path, tmp_path: Path) -> None:
    files = ["-kernel", str(need_kernel()), "-initrd", str(initrd), "-append", APPEND]
    line = ["-m", "256", *files, "-nographic", "-qmp", "unix:vm.sock,server=on,wait=off", "-accel", "unicorn"]
    with Program("varan.cli.system", line, tmp_path) as program:
        program.expect(START)
        assert program.expect(DONE).split() == " ".join(ANSWER).split()
        qmp = RawQmp(tmp_path / "vm.sock")
        assert qmp.execute("query-status")["status"] == "running"
        program.type("hello\n")
        program.expect("got hello")
        qmp.execute("quit")
        qmp.close()
        assert program.end()[0] == 0
    assert not (tmp_path / "vm.sock").exists()

"""Linux on several CPUs: both work, each is seen by the monitor, and NMIs reach the kernel."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.initrd import make_initrd
from tests.support.kernel import need_busybox, need_kernel

from varan.embed.vm import Machine

pytestmark = pytest.mark.linux

APPEND = "console=ttyS0 panic=-1 quiet no_timer_check"
NUMBERS = "".join(f"{number}\n" for number in range(1, 20001)).encode()
WORK = """
echo cpus $(nproc)
seq 1 20000 > /tmp/numbers
work() {
    taskset $1 sh -c '
        for round in 1 2; do
            md5sum < /tmp/numbers
            gzip -c /tmp/numbers | gunzip -c | sha256sum
            for i in 1 2 3 4 5; do /bin/true; done
        done' > /tmp/out.$1
}
work 1 & work 2 &
wait
for cpu in 1 2; do echo results $(sort /tmp/out.$cpu | uniq -c); done
echo local $(grep LOC: /proc/interrupts | cut -d L -f 1,2 | tr -s ' ')
echo READY
read line
dmesg | grep -i nmi
echo DONE
read line
(taskset 2 sh -c 'while :; do :; done') &
echo BUSY
read line
"""


@pytest.fixture
async def vm(tmp_path: Path) -> AsyncIterator[Machine]:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(make_initrd(WORK, need_busybox(), compress=True))
    kernel = str(need_kernel())
    machine = Machine(kernel=kernel, initrd=str(initrd), append=APPEND, memory="256M", cpus=2, accel="unicorn")
    async with machine:
        await machine.start()
        yield machine


async def test_linux_uses_two_cpus(vm: Machine) -> None:
    output = (await vm.serial.expect(re.compile("(?s)cpus (.*)READY"), timeout=240))[1]
    digests = sorted((hashlib.md5(NUMBERS).hexdigest(), hashlib.sha256(NUMBERS).hexdigest()))
    both = " ".join(f"2 {digest} -" for digest in digests)
    lines = output.split("\n")
    assert lines[0].strip() == "2"
    assert [line.strip() for line in lines if line.startswith("results")] == [f"results {both}"] * 2
    (ticks,) = re.findall(r"local LOC: (\d+) (\d+)", output)
    assert all(int(count) > 50 for count in ticks)

    await vm.qmp.inject_nmi()
    vm.serial.send_line("")
    report = (await vm.serial.expect(re.compile("(?s)(.*)DONE"), timeout=60))[1]
    assert re.search("NMI received for unknown reason .. on CPU 0", report)

    vm.serial.send_line("")
    await vm.serial.expect("BUSY", timeout=60)
    seen: dict[int, set[tuple[int | None, bool]]] = {0: set(), 1: set()}
    for _ in range(500):
        for cpu in await vm.qmp.query_cpus():
            seen[cpu.CPU].add((cpu.pc, cpu.halted))
        if any(halted for _, halted in seen[0]) and len({pc for pc, halted in seen[1] if not halted}) > 3:
            break
        await asyncio.sleep(0.01)
    else:
        raise AssertionError("the first CPU should sleep and the second one work")
    assert {pc for pc, _ in seen[0]} != {pc for pc, _ in seen[1]}

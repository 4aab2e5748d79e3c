"""An unmodified Debian kernel boots to userspace, finds what it was told, and computes what the host computes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.support.bare_machine import BareMachine
from tests.support.initrd import make_initrd
from tests.support.kernel import need_busybox, need_kernel

pytestmark = pytest.mark.linux

MIB = 1 << 20
GIB = 1 << 30
DONE = "THE-END\n"

Boot = Callable[..., str]


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    """Boots a script in an initrd; what it prints up to its end."""

    def run(
        script: str,
        *,
        accelerator: str = "unicorn",
        memory: int = 256 * MIB,
        compress: bool = False,
        modules: Sequence[str] = (),
    ) -> str:
        initrd = tmp_path / "initrd"
        script = f"echo THE-START\n{script}\necho {DONE}"
        initrd.write_bytes(make_initrd(script, need_busybox(), compress=compress, modules=modules))
        kernel = need_kernel()
        append = "console=ttyS0 panic=-1 quiet one=1 two=2"
        with BareMachine(accelerator, memory=memory, kernel=str(kernel), initrd=str(initrd), append=append) as machine:
            machine.expect("THE-START\n")
            return machine.expect(DONE).removesuffix(DONE)

    return run


WORK = """
seq 1 20000 > /tmp/numbers
md5sum < /tmp/numbers
gzip -c /tmp/numbers | gunzip | sha256sum
i=0
while [ $i -lt 50 ]; do /bin/true; i=$((i + 1)); done
echo forks $i
seq 1 1000 | awk '{ s += $1 * $1 } END { print "sum", s }'
"""


@pytest.mark.parametrize("accelerator", ["unicorn", "unicorn,delivery=python"])
def test_userspace_computes_what_the_host_computes(boot: Boot, accelerator: str) -> None:
    numbers = "".join(f"{number}\n" for number in range(1, 20001)).encode()
    assert boot(WORK, accelerator=accelerator).splitlines() == [
        hashlib.md5(numbers).hexdigest() + "  -",
        hashlib.sha256(numbers).hexdigest() + "  -",
        "forks 50",
        f"sum {sum(number * number for number in range(1, 1001))}",
    ]


def test_the_kernel_gets_its_command_line_and_a_compressed_initrd(boot: Boot) -> None:
    assert boot("cat /proc/cmdline", compress=True) == "console=ttyS0 panic=-1 quiet one=1 two=2\n"


def test_the_kernel_takes_modules_with_what_they_depend_on(boot: Boot) -> None:
    text = boot("cut -d' ' -f1 /proc/modules", modules=["virtio_blk"])
    assert set(text.split()) == {"virtio", "virtio_ring", "virtio_blk"}


@pytest.mark.parametrize("accelerator", ["unicorn", "unicorn,delivery=python,tlb-stub=off"])
def test_the_kernel_keeps_time_by_the_time_stamp_counter(boot: Boot, accelerator: str) -> None:
    text = boot("cat /sys/devices/system/clocksource/clocksource0/current_clocksource", accelerator=accelerator)
    assert text == "tsc\n"


def test_the_kernel_finds_the_memory_above_4_gib(boot: Boot) -> None:
    text = boot("grep 'System RAM' /proc/iomem; grep MemTotal /proc/meminfo", memory=5 * GIB)
    assert "100000000-17fffffff : System RAM" in text
    total = re.search(r"MemTotal: +(\d+) kB", text)
    assert total
    assert 4.7 * GIB < int(total[1]) * 1024 < 5 * GIB

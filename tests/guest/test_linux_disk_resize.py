"""A Linux guest whose disk becomes larger and smaller while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.linux_guest import PATIENCE, linux

import varan.block
from varan.embed.vm import Machine

pytestmark = pytest.mark.linux

MIB = 1 << 20
SCRIPT = """
seen=
while true; do
    now=$(blockdev --getsz /dev/vda)
    if [ "$now" != "$seen" ]; then
        echo SECTORS $now
        echo here | dd of=/dev/vda bs=512 seek=$((now - 1)) conv=notrunc,fsync 2>/dev/null && echo WROTE
        dd if=/dev/vda bs=512 skip=$now count=1 2>/dev/null | wc -c
    fi
    seen=$now
    usleep 50000
done
"""


@pytest.mark.parametrize("format", ["raw", "qcow2"])
async def test_the_guest_uses_the_new_size(tmp_path: Path, format: str) -> None:
    image = str(tmp_path / "disk")
    await varan.block.create(image, 8 * MIB, format=format)
    disk = {"driver": format, "file.filename": image}
    async with linux(tmp_path, SCRIPT, ["virtio_pci", "virtio_blk"], disks=[disk]) as (vm, _):
        (drive,) = await vm.qmp.query_block()
        for size in (8 * MIB, 24 * MIB, 2 * MIB, 2 * MIB + 512 * 3):
            await vm.qmp.block_resize(size=size, device=drive.device)
            await expect(vm, size)
    async with varan.block.open(image, format=format, read_only=True) as disk_now:
        assert disk_now.length == size
        assert (await disk_now.read(size - 512, 512)).startswith(b"here\n")


async def expect(vm: Machine, size: int) -> None:
    """The guest has seen the size and written its last sector; there is nothing behind that."""
    for text in (f"SECTORS {size // 512}", "WROTE", "0"):
        await vm.serial.expect(text, timeout=PATIENCE)

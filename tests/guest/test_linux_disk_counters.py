"""What a machine says of its guest's disks is what the guest's kernel has counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.initrd import make_initrd
from tests.support.kernel import need_busybox, need_kernel
from tests.support.linux_guest import APPEND, until

import varan
import varan.block
from varan.api.events import BlockWriteThreshold
from varan.api.values import BlockDeviceStats
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec

pytestmark = pytest.mark.linux

MIB = 1 << 20
MODULES = {"virtio-blk-pci": ("virtio_pci", "virtio_blk"), "ide-hd": ("ata_piix", "sd_mod")}
SCRIPT = """
[ -e /sys/block/sda ] && disk=sda || disk=vda
echo BEFORE $(cat /sys/block/$disk/stat)
dd if=/dev/zero of=/dev/$disk bs=4k count=64 seek=3 oflag=direct 2>/dev/null
dd if=/dev/$disk of=/dev/null bs=16k count=20 iflag=direct 2>/dev/null
dd if=/dev/zero of=/dev/$disk bs=64k count=40 seek=10 conv=fsync 2>/dev/null
dd if=/dev/$disk of=/dev/null bs=1M skip=4 count=2 2>/dev/null
blkdiscard -o 1048576 -l 65536 /dev/$disk || echo NO-DISCARD
echo STAT $(cat /sys/block/$disk/stat)
echo THE-END
sleep 600
"""
NAMES = (
    *("reads", "merged reads", "read sectors", "reading"),
    *("writes", "merged writes", "written sectors", "writing"),
    *("in flight", "busy", "weighted"),
    *("discards", "merged discards", "discarded sectors", "discarding"),
    *("flushes", "flushing"),
)
"""Of /sys/block/*/stat (Linux, Documentation/block/stat.rst)."""


def told(text: str, word: str) -> dict[str, int]:
    """The guest's own counters."""
    line = next(line for line in text.splitlines() if line.startswith(f"{word} "))
    return dict(zip(NAMES, map(int, line.split()[1:]), strict=True))


def same_as(stats: BlockDeviceStats) -> dict[str, int]:
    """The machine's counters under the guest's names."""
    return {
        "reads": stats.rd_operations,
        "read sectors": stats.rd_bytes // 512,
        # To the kernel a flush is also a write, of nothing.
        "writes": stats.wr_operations + stats.flush_operations,
        "written sectors": stats.wr_bytes // 512,
        "discards": stats.unmap_operations,
        "discarded sectors": stats.unmap_bytes // 512,
        "flushes": stats.flush_operations,
    }


@pytest.mark.parametrize(
    ("driver", "format"),
    [("virtio-blk-pci", "raw"), ("virtio-blk-pci", "qcow2"), ("ide-hd", "raw"), ("ide-hd", "qcow2")],
)
async def test_counters_are_those_of_the_guests_kernel(tmp_path: Path, driver: str, format: str) -> None:
    image = tmp_path / "disk"
    await varan.block.create(str(image), 16 * MIB, format=format)
    drive = DriveSpec("d0", {"filename": str(image)}, format, intervals=(600,))
    initrd = tmp_path / "initrd"
    initrd.write_bytes(make_initrd(SCRIPT, need_busybox(), modules=MODULES[driver]))
    spec = MachineSpec(
        memory=256 * MIB,
        accelerators=(("unicorn", {}),),
        boot=BootSpec(kernel=str(need_kernel()), initrd=str(initrd), append=APPEND),
        serials=("serial0",),
        drives=(drive,),
        devices=(DeviceSpec(driver, settings={"drive": "d0"}),),
    )
    async with varan.Machine(spec=spec) as vm, vm.qmp.listen() as listener:
        (info,) = await vm.qmp.query_block()
        assert info.qdev
        await vm.qmp.block_latency_histogram_set(info.qdev, [1_000_000, 100_000_000])
        (drive_stats,) = await vm.qmp.query_blockstats()
        assert drive_stats.parent and drive_stats.parent.node_name
        await vm.qmp.block_set_write_threshold(drive_stats.parent.node_name, MIB)
        await vm.start()
        event = await until(listener, BlockWriteThreshold)
        assert (event.node_name, event.write_threshold) == (drive_stats.parent.node_name, MIB)
        assert event.amount_exceeded > 0
        await vm.serial.expect("THE-END", timeout=120)
        (drive_stats,) = await vm.qmp.query_blockstats()
        text = vm.serial.text.replace("\r", "")
    counted, stats = told(text, "STAT"), drive_stats.stats
    ours = same_as(stats)
    assert {name: counted[name] for name in ours} == ours, json.dumps(counted)
    begun = told(text, "BEFORE")
    # What was asked past the guest's cache, request by request, and then what its cache made of the rest.
    assert ours["writes"] - begun["writes"] > 64
    assert ours["written sectors"] - begun["written sectors"] == (64 * 4 + 40 * 64) * 2
    assert ours["read sectors"] - begun["read sectors"] >= (20 * 16 + 2048) * 2
    assert ours["discarded sectors"] == (0 if "NO-DISCARD" in text else 128)
    assert ours["flushes"] > begun["flushes"]
    assert stats.wr_highest_offset == 50 * 65536
    assert not any(
        getattr(stats, f"{kind}_{what}_operations") for kind in ("failed", "invalid") for what in ("rd", "wr")
    )
    assert stats.idle_time_ns
    for histogram, operations in (
        (stats.rd_latency_histogram, stats.rd_operations),
        (stats.wr_latency_histogram, stats.wr_operations),
        (stats.flush_latency_histogram, stats.flush_operations),
    ):
        assert histogram and sum(histogram.bins) == operations
    assert drive_stats.parent and drive_stats.parent.stats.wr_highest_offset > MIB
    (recent,) = stats.timed_stats
    assert 0 < recent.min_wr_latency_ns <= recent.avg_wr_latency_ns <= recent.max_wr_latency_ns
    assert recent.avg_wr_latency_ns == stats.wr_total_time_ns // stats.wr_operations

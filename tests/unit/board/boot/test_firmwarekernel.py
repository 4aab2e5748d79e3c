"""A kernel that firmware starts: what the firmware configuration device says of it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tests.support.boot_images import MIB, ram
from tests.support.kernel import need_kernel

from varan.board.boot import firmwarekernel as k
from varan.board.boot.base import BootError
from varan.board.boot.firmwarekernel import FirmwareKernel


def test_the_kernel_is_cut_where_its_header_says_and_filled_in(tmp_path: Path) -> None:
    path = need_kernel()
    file = path.read_bytes()
    initrd = tmp_path / "initrd"
    initrd.write_bytes(b"x" * 5000)
    items = FirmwareKernel(str(path), str(initrd), "console=ttyS0").items(ram((0, 64 * MIB)))
    content = {key: item() for key, item in items.items()}
    numbers = {key: struct.unpack("<I", data)[0] for key, data in content.items() if len(data) == 4}
    size = numbers[k.SETUP_SIZE]
    assert size == (file[0x1F1] + 1) * 512
    assert content[k.KERNEL] == file[size:] and numbers[k.KERNEL_SIZE] == len(file) - size
    assert (content[k.LINE], numbers[k.LINE_SIZE]) == (b"console=ttyS0\0", 14)
    assert (content[k.INITRD], numbers[k.INITRD_SIZE]) == (b"x" * 5000, 5000)
    setup, place = content[k.SETUP], numbers[k.INITRD_ADDRESS]
    assert place % 4096 == 0 and 62 * MIB < place <= 63 * MIB - 5000
    assert struct.unpack_from("<II", setup, 0x218) == (place, 5000)
    assert struct.unpack_from("<I", setup, 0x228) == (0x20000,)
    assert setup[:0x1F0] == file[:0x1F0]


def test_a_file_that_goes_away_gives_the_guest_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(need_kernel().read_bytes())
    items = FirmwareKernel(str(path)).items(ram((0, 64 * MIB)))
    path.write_bytes(b"")
    assert items[k.KERNEL]() == b""
    assert len(items[k.SETUP]()) == struct.unpack("<I", items[k.SETUP_SIZE]())[0]


def test_a_line_that_is_too_long_is_refused() -> None:
    with pytest.raises(BootError, match=r"the kernel command line has 5000 bytes; kernel '.*' takes 2047 at most"):
        FirmwareKernel(str(need_kernel()), append="x" * 5000)

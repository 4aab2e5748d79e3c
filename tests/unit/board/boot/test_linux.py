from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from tests.support.boot_images import GIB, MIB, BzImage, ElfSegment, elf, ram
from tests.support.initrd import make_initrd

from varan.board.boot.base import BootError
from varan.board.boot.linux import COMMAND_LINE, ZERO_PAGE, LinuxBoot
from varan.core.memory import GuestRam, MemorySpace

CODE = bytes(range(256)) * 16


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


@pytest.fixture
def kernel(tmp_path: Path) -> str:
    return write(tmp_path / "vmlinuz", bytes(BzImage(code=CODE)))


def zero_page_field(memory: MemorySpace, offset: int, form: str) -> int:
    data = memory.read_bytes(ZERO_PAGE + offset, struct.calcsize(form))
    value: int = struct.unpack(form, data)[0]
    return value


def test_the_kernel_is_copied_to_its_place_and_entered_64_bit(kernel: str) -> None:
    memory = ram((0, 64 * MIB))
    state = LinuxBoot(memory, kernel).install(memory)
    assert memory.read_bytes(0x1000000, len(CODE)) == CODE
    assert state.rip == 0x1000200
    assert state.gprs[6] == ZERO_PAGE
    assert state.rflags == 2
    assert (state.cs.selector, state.ds.selector, state.ss.selector) == (0x10, 0x18, 0x18)
    assert state.cs.access >> 13 & 1, "a 64-bit code segment"
    assert state.cr0 & 0x80000001 == 0x80000001
    assert state.efer & 0x500 == 0x500
    assert state.cr4 & 0x20


def test_gdt_has_the_selectors_that_the_state_uses(kernel: str) -> None:
    memory = ram((0, 64 * MIB))
    state = LinuxBoot(memory, kernel).install(memory)
    gdt = memory.read_bytes(state.gdt.base, state.gdt.limit + 1)
    code, data = struct.unpack_from("<QQ", gdt, 0x10)
    assert (code >> 40 & 0xFF, code >> 53 & 1) == (0x9B, 1)
    assert data >> 40 & 0xFF == 0x93


def test_the_zero_page_tells_the_kernel_what_it_got(kernel: str, tmp_path: Path) -> None:
    memory = ram((0, 64 * MIB))
    initrd = write(tmp_path / "initrd", b"i" * 5000)
    LinuxBoot(memory, kernel, initrd, "console=ttyS0 quiet").install(memory)
    assert zero_page_field(memory, 0x202, "<I") == 0x53726448
    assert zero_page_field(memory, 0x210, "<B") == 0xFF
    assert zero_page_field(memory, 0x228, "<I") == COMMAND_LINE
    assert memory.read_bytes(COMMAND_LINE, 20) == b"console=ttyS0 quiet\0"
    address, size = zero_page_field(memory, 0x218, "<I"), zero_page_field(memory, 0x21C, "<I")
    assert size == 5000
    assert memory.read_bytes(address, size) == b"i" * 5000
    assert address == 64 * MIB - 8192, "page-aligned, as high as it fits"
    entries = zero_page_field(memory, 0x1E8, "<B")
    last = struct.unpack("<QQI", memory.read_bytes(ZERO_PAGE + 0x2D0 + 20 * (entries - 1), 20))
    assert last == (MIB, 63 * MIB, 1)


def test_ram_above_4_gib_is_reported_and_the_initrd_stays_below_its_limit(kernel: str, tmp_path: Path) -> None:
    memory = ram((0, 3 * GIB), (4 * GIB, GIB))
    initrd = write(tmp_path / "initrd", b"i" * 4096)
    LinuxBoot(memory, kernel, initrd).install(memory)
    entries = zero_page_field(memory, 0x1E8, "<B")
    last = struct.unpack("<QQI", memory.read_bytes(ZERO_PAGE + 0x2D0 + 20 * (entries - 1), 20))
    assert last == (4 * GIB, GIB, 1)
    assert zero_page_field(memory, 0x218, "<I") == 0x80000000 - 4096


def test_install_again_undoes_what_the_guest_did(kernel: str) -> None:
    memory = ram((0, 64 * MIB))
    boot = LinuxBoot(memory, kernel)
    first = boot.install(memory)
    for address in (0x1000, first.gdt.base, ZERO_PAGE, COMMAND_LINE, 0x1000000):
        memory.write_ram(address, b"\xcc" * 0x1000)
    assert boot.install(memory) == first
    assert memory.read_bytes(0x1000000, len(CODE)) == CODE
    assert memory.read_bytes(COMMAND_LINE, 1) == b"\0"


def test_every_write_is_told_to_the_accelerator(kernel: str) -> None:
    memory = ram((0, 64 * MIB))
    boot = LinuxBoot(memory, kernel)
    told: list[tuple[int, int]] = []
    memory.on_ram_written(lambda address, length: told.append((address, length)))
    boot.install(memory)
    assert (0x1000000, len(CODE)) in told
    assert {address for address, _ in told} >= {0x1000, ZERO_PAGE, COMMAND_LINE}


def test_an_elf_kernel_gets_its_bss_cleared(tmp_path: Path) -> None:
    kernel = write(tmp_path / "vmlinux", elf(ElfSegment(0x1000000, b"text", memory_size=3 * MIB)))
    memory = ram((0, 64 * MIB))
    memory.write_ram(0x1000000, b"\xff" * 0x400000)
    state = LinuxBoot(memory, kernel).install(memory)
    assert state.rip == 0x1000000
    assert memory.read_bytes(0x1000000, 3 * MIB) == b"text".ljust(3 * MIB, b"\0")
    assert memory.read_bytes(0x1000000 + 3 * MIB, 1) == b"\xff"


def test_too_little_memory_says_how_much_is_needed(kernel: str, tmp_path: Path) -> None:
    initrd = write(tmp_path / "initrd", bytes(3 * MIB))
    with pytest.raises(BootError, match=r"too little memory: .*they need at least 21 MiB, the machine has 16 MiB"):
        LinuxBoot(ram((0, 16 * MIB)), kernel, initrd)
    LinuxBoot(ram((0, 21 * MIB)), kernel, initrd).install(ram((0, 21 * MIB)))


def test_an_initrd_that_the_kernel_cannot_reach_is_refused(tmp_path: Path) -> None:
    kernel = write(tmp_path / "vmlinuz", bytes(BzImage(code=CODE, initrd_max=0x12FFFFF)))
    with pytest.raises(BootError, match="wants it below 0x1300000"):
        LinuxBoot(ram((0, 64 * MIB)), kernel, write(tmp_path / "initrd", bytes(2 * MIB)))


def test_a_command_line_as_long_as_the_kernel_takes_is_passed_whole(kernel: str) -> None:
    memory = ram((0, 64 * MIB))
    LinuxBoot(memory, kernel, None, "x" * 2047).install(memory)
    assert memory.read_bytes(COMMAND_LINE, 2048) == b"x" * 2047 + b"\0"


@pytest.mark.parametrize(
    ("append", "message"),
    [
        ("x" * 2048, "has 2048 bytes; kernel '.*' takes 2047 at most"),
        ("a\0b", "NUL"),
        ("\ud800", "not text"),
    ],
)
def test_a_command_line_that_cannot_be_passed_is_refused(kernel: str, append: str, message: str) -> None:
    with pytest.raises(BootError, match=message):
        LinuxBoot(ram((0, 64 * MIB)), kernel, None, append)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\x1f\x8b" + bytes(1000), "is compressed with gzip"),
        (b"\xfd7zXZ\0" + bytes(1000), "is compressed with xz"),
        (b"\x28\xb5\x2f\xfd" + bytes(1000), "is compressed with zstd"),
        (b"MZ" + bytes(0x36) + b"ARM\x64" + bytes(1000), "arm64 kernel; give an x86-64"),
        (b"MZ" + b"\x01" * 1000, "EFI program"),
        (b"#!/bin/sh\n", "a script"),
        (b"QFI\xfb" + bytes(600), "qcow2 disk image"),
        (b"\xeb" + bytes(509) + b"\x55\xaa", "boot sector or disk image"),
        (bytes(2000), "nothing but zeros"),
        (b"hello\n", "text, not a kernel"),
        (bytes(range(256)) * 4, "no x86 Linux kernel that Varan knows"),
        (bytes(BzImage(xloadflags=0)), "32-bit kernel"),
        (bytes(BzImage())[:0x500], "is truncated"),
        (elf(ElfSegment(0x1000000), machine=243), "ELF file for RISC-V"),
    ],
)
def test_a_file_that_is_no_kernel_is_named_for_what_it_seems_to_be(tmp_path: Path, data: bytes, message: str) -> None:
    path = write(tmp_path / "kernel", data)
    with pytest.raises(BootError, match=message) as caught:
        LinuxBoot(ram((0, 64 * MIB)), path)
    assert f"kernel '{path}'" in str(caught.value)


def test_swapped_kernel_and_initrd_are_noticed(tmp_path: Path, kernel: str) -> None:
    busybox = write(tmp_path / "busybox", b"not really")
    initrd = write(tmp_path / "initrd", make_initrd("true", busybox))
    with pytest.raises(BootError, match="swapped"):
        LinuxBoot(ram((0, 64 * MIB)), initrd, kernel)


def test_files_that_cannot_be_opened_are_named_with_the_reason(tmp_path: Path, kernel: str) -> None:
    memory = ram((0, 64 * MIB))
    with pytest.raises(BootError, match="could not open kernel '/nonexistent': No such file"):
        LinuxBoot(memory, "/nonexistent")
    with pytest.raises(BootError, match="could not open initrd '/nonexistent': No such file"):
        LinuxBoot(memory, kernel, "/nonexistent")
    with pytest.raises(BootError, match="is not a regular file"):
        LinuxBoot(memory, str(tmp_path))
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BootError, match="is not a regular file"):
        LinuxBoot(memory, str(tmp_path / "fifo"))
    with pytest.raises(BootError, match="could not open"):
        LinuxBoot(memory, "a\0b")


def test_a_file_cut_short_while_in_use_is_an_error_at_reset(tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    guest_ram = GuestRam(64 * MIB)
    memory = MemorySpace()
    memory.map_ram(0, guest_ram)
    boot = LinuxBoot(memory, write(path, bytes(BzImage(code=CODE))))
    os.truncate(path, 0x600)
    with pytest.raises(BootError, match="was cut short while the machine was using it"):
        boot.install(memory)
    guest_ram.close()


def test_a_file_replaced_while_in_use_does_not_change_what_boots(tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    memory = ram((0, 64 * MIB))
    boot = LinuxBoot(memory, write(path, bytes(BzImage(code=CODE))))
    path.unlink()
    path.write_bytes(b"something else")
    boot.install(memory)
    assert memory.read_bytes(0x1000000, len(CODE)) == CODE

from __future__ import annotations

import pytest
from tests.support.boot_images import ElfSegment, elf

from varan.board.boot import bzimage
from varan.board.boot import elf as elf_file
from varan.board.boot.base import BadImage
from varan.board.boot.kernel import KernelImage, LoadSegment

BASE = 0x1000000


def parse(data: bytes) -> KernelImage:
    return elf_file.parse(data[: bzimage.HEAD_SIZE], len(data), lambda offset, size: data[offset : offset + size])


def test_segments_load_at_their_physical_addresses_in_order() -> None:
    image = parse(elf(ElfSegment(0x2000000, b"data", 0x3000), ElfSegment(BASE, b"text", 0x1000)))
    offset = 64 + 2 * 56
    assert image.segments == (LoadSegment(offset + 4, 4, BASE, 0x1000), LoadSegment(offset, 4, 0x2000000, 0x3000))
    assert image.end == 0x2003000


def test_a_physical_entry_point_is_taken_as_it_is() -> None:
    assert parse(elf(ElfSegment(BASE), entry=BASE + 0x10)).entry == BASE + 0x10


def test_a_virtual_entry_point_is_translated_by_its_segment() -> None:
    image = parse(elf(ElfSegment(BASE, virtual=0xFFFFFFFF81000000), entry=0xFFFFFFFF81000020))
    assert image.entry == BASE + 0x20


def test_an_empty_segment_is_passed_over() -> None:
    assert len(parse(elf(ElfSegment(0, memory_size=0), ElfSegment(BASE))).segments) == 1


def test_the_setup_header_has_the_magic_that_kernels_look_for() -> None:
    header = parse(elf(ElfSegment(BASE))).header
    assert header[0x1FE - 0x1F1 : 0x200 - 0x1F1] == b"\x55\xaa"
    assert header[0x202 - 0x1F1 : 0x206 - 0x1F1] == b"HdrS"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (elf(ElfSegment(BASE), machine=183), "for arm64, not for x86-64"),
        (elf(ElfSegment(BASE), machine=3), "for 32-bit x86"),
        (elf(ElfSegment(BASE), machine=9999), "machine type 9999"),
        (elf(ElfSegment(BASE), kind=1), "not an executable"),
        (elf(ElfSegment(BASE), ElfSegment(0, b"/lib/ld.so", type=3)), "ordinary ELF program"),
        (elf(), "nothing to load"),
        (elf(ElfSegment(BASE, file_size=0x1000)), "truncated ELF file: a segment ends at"),
        (elf(ElfSegment(BASE, b"12345678", memory_size=4)), "more bytes in the file"),
        (elf(ElfSegment(0x1000), entry=0x1000), "at physical 0x1000; a kernel loads between"),
        (elf(ElfSegment(0xFFFFF000, memory_size=0x2000)), "a kernel loads between"),
        (elf(ElfSegment((1 << 64) - 0x1000)), "a kernel loads between"),
        (elf(ElfSegment(BASE, memory_size=0x2000), ElfSegment(BASE + 0x1000)), "overlap at 0x1001000"),
        (elf(ElfSegment(BASE), entry=0x5000000), "entry point 0x5000000 lies in none"),
        (elf(ElfSegment(BASE))[:63], "ends within its header"),
        (elf(ElfSegment(BASE))[:100], "ends within its program headers"),
    ],
)
def test_a_file_that_cannot_be_started_is_refused_with_the_reason(data: bytes, message: str) -> None:
    with pytest.raises(BadImage, match=message):
        parse(data)


def test_a_large_number_of_program_headers_is_refused_before_they_are_read() -> None:
    data = bytearray(elf(ElfSegment(BASE)))
    data[56:58] = b"\xff\xff"
    with pytest.raises(BadImage, match="65535 program headers"):
        elf_file.parse(bytes(data), len(data), lambda offset, size: pytest.fail("it was read"))

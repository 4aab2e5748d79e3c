from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.boot_images import MIB, BzImage

from varan.board.boot import bzimage
from varan.board.boot.base import BadImage
from varan.board.boot.kernel import KernelImage, LoadSegment


def parse(image: BzImage | bytes) -> KernelImage:
    data = bytes(image)
    return bzimage.parse(data[: bzimage.HEAD_SIZE], len(data))


def test_a_64_bit_kernel_loads_where_its_header_says() -> None:
    image = parse(BzImage(setup_sectors=3, address=0x2000000, init_size=4 * MIB, code=bytes(0x1000)))
    assert image.segments == (LoadSegment(4 * 512, 0x1000, 0x2000000, 0x1000),)
    assert image.entry == 0x2000200
    assert image.end == 0x2000000 + 4 * MIB
    assert image.command_line_limit == 2047
    assert image.initrd_limit == 0x80000000


def test_no_setup_sectors_means_four() -> None:
    image = BzImage(setup_sectors=4)
    data = bytearray(bytes(image))
    data[0x1F1] = 0
    assert parse(bytes(data)).segments[0].offset == 5 * 512


def test_a_signature_behind_the_code_is_not_loaded() -> None:
    signed = bytes(BzImage(code=bytes(0x1000), syssize=0x100)) + b"signature" * 100
    assert parse(signed).segments[0].size == 0x1000


def test_the_last_paragraph_may_be_short() -> None:
    assert parse(BzImage(code=bytes(0x1001))).segments[0].size == 0x1001


def test_the_header_for_the_zero_page_ends_where_its_jump_goes() -> None:
    image = bytes(BzImage())
    assert parse(image).header == image[0x1F1 : 0x202 + 0x6A]


def test_a_header_that_claims_more_is_cut_before_the_next_field_of_the_zero_page() -> None:
    data = bytearray(bytes(BzImage()))
    data[0x201] = 0xFF
    assert len(parse(bytes(data)).header) == bzimage.HEADER_END - bzimage.HEADER


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loadflags": 0}, "is a zImage"),
        ({"version": 0x206}, "boot protocol 2.06, which has no 64-bit entry"),
        ({"xloadflags": 0}, "32-bit kernel"),
        ({"code": bytes(0x200)}, "is truncated"),
        ({"syssize": 0x1000}, "is truncated: its header says 66560 bytes"),
        ({"address": 0x80000}, "damaged header"),
        ({"address": 0xFFFF0000}, "damaged header"),
        ({"address": (1 << 64) - 1}, "damaged header"),
        ({"init_size": 0xFFFFFFFF}, "damaged header"),
    ],
)
def test_a_kernel_that_cannot_be_started_is_refused_with_the_reason(change: dict[str, int], message: str) -> None:
    with pytest.raises(BadImage, match=message):
        parse(replace(BzImage(), **change))  # type: ignore[arg-type]


def test_a_file_shorter_than_its_header_is_truncated() -> None:
    with pytest.raises(BadImage, match="truncated: 600 bytes do not even hold its header"):
        parse(bytes(BzImage())[:600])

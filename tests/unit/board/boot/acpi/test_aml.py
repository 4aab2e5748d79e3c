"""Encodings against the specification's and the reference compiler's."""

from __future__ import annotations

import pytest

from varan.board.boot.acpi import aml, resources


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("FOO", b"FOO_"),
        ("\\_SB", b"\\_SB_"),
        ("^^A", b"^^A___"),
        ("_SB.PCI0", b"\x2e_SB_PCI0"),
        ("\\_SB.PCI0.ISA", b"\\\x2f\x03_SB_PCI0ISA_"),
        ("\\", b"\\\0"),
    ],
)
def test_paths_are_padded_and_prefixed(text: str, encoded: bytes) -> None:
    assert aml.path(text) == encoded


@pytest.mark.parametrize("text", ["lower", "TOOLONG", "1ABC", "A..B", "A^B", "\\^A", "A."])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no ASL path"):
        aml.path(text)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (1, "01"),
        (2, "0a02"),
        (0xFF, "0aff"),
        (0x100, "0b0001"),
        (0x10000, "0c00000100"),
        (1 << 32, "0e0000000001000000"),
    ],
)
def test_integers_take_as_few_bytes_as_they_can(value: int, encoded: str) -> None:
    assert aml.integer(value).hex() == encoded


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_integers_have_64_bits(value: int) -> None:
    with pytest.raises(ValueError, match="no AML integer"):
        aml.integer(value)


def test_an_eisa_id_is_compressed() -> None:
    assert aml.eisa_id("PNP0A03").hex() == "0c41d00a03"
    with pytest.raises(ValueError, match="EISA"):
        aml.eisa_id("ACPI0007")


@pytest.mark.parametrize("size", [0, 1, 58, 59, 60, 250, 4085, 4086, 4087, 1 << 20])
def test_lengths_count_their_own_bytes(size: int) -> None:
    encoded = aml.buffer(bytes(size))
    lead, more = encoded[1], encoded[1] >> 6
    length = lead & 0x3F if more == 0 else lead & 0xF | int.from_bytes(encoded[2 : 2 + more], "little") << 4
    assert length == len(encoded) - 1
    shorter = 0 if more == 0 else [1 << 6, 1 << 12, 1 << 20][more - 1]
    assert length - more >= shorter - more


def test_methods_and_operators_have_their_limits() -> None:
    with pytest.raises(ValueError, match="7 arguments"):
        aml.method("M", 8)
    with pytest.raises(IndexError):
        aml.local(8)
    with pytest.raises(IndexError):
        aml.argument(7)
    with pytest.raises(ValueError, match="NUL"):
        aml.string("a\0b")


def test_a_resource_template_ends_with_its_tag_and_a_checksum_of_zero() -> None:
    template = resources.template(resources.io(0x60, 1), resources.irq(1))
    assert template.hex() == "11100a0d" + "4701600060000101" + "220200" + "7900"


def test_memory_above_4_gib_takes_the_wide_descriptor() -> None:
    assert resources.memory_window(0xE0000000, 0xFEBFFFFF)[0] == 0x87
    assert resources.memory_window(1 << 32, (1 << 33) - 1)[0] == 0x8A

"""The header: every field is checked and named, nothing is lost on the way through."""

from __future__ import annotations

import struct

import pytest

from varan.block.base import BlockError, ErrorKind
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.header import Extension, Header, HeaderError, default_feature_names, parse_header


def a_header(**changes: object) -> Header:
    header = Header(
        size=1 << 30, l1_size=2, l1_table_offset=0x30000, refcount_table_offset=0x10000, refcount_table_clusters=1
    )
    for name, value in changes.items():
        setattr(header, name, value)
    return header


def test_a_header_survives_the_round_trip() -> None:
    header = a_header(backing_file="base.qcow2", autoclear=1, snapshots=3, snapshots_offset=0x50000)
    header.backing_format = "qcow2"
    header.set_extension(0x12345678, b"unknown, and kept")
    header.set_extension(q.EXTENSION_FEATURE_NAMES, default_feature_names())
    assert parse_header(header.serialize().ljust(65536, b"\0")) == header


def test_version_2_has_neither_features_nor_widths() -> None:
    header = a_header(version=2, header_length=72, backing_file="b")
    header.backing_format = "raw"
    parsed = parse_header(header.serialize().ljust(65536, b"\0"))
    assert (parsed.version, parsed.refcount_order, parsed.incompatible) == (2, 4, 0)
    assert (parsed.backing_file, parsed.backing_format) == ("b", "raw")


def test_header_bytes_past_the_known_fields_are_kept() -> None:
    header = a_header(header_length=120, extra=b"\1\2\3\4\5\6\7" + b"future!!")
    assert parse_header(header.serialize().ljust(65536, b"\0")).extra == header.extra


def test_a_backing_name_that_is_no_utf8_is_kept() -> None:
    name = b"caf\xe9.img".decode(errors="surrogateescape")
    assert parse_header(a_header(backing_file=name).serialize().ljust(65536, b"\0")).backing_file == name


@pytest.mark.parametrize(
    ("field", "at", "form", "value", "kind"),
    [
        ("magic", 0, ">I", 0, ErrorKind.INVALID),
        ("version", 4, ">I", 4, ErrorKind.UNSUPPORTED),
        ("backing_file_offset", 8, ">Q", 40, ErrorKind.CORRUPT),
        ("cluster_bits", 20, ">I", 8, ErrorKind.UNSUPPORTED),
        ("cluster_bits", 20, ">I", 22, ErrorKind.UNSUPPORTED),
        ("size", 24, ">Q", 1 << 63, ErrorKind.CORRUPT),
        ("crypt_method", 32, ">I", 3, ErrorKind.UNSUPPORTED),
        ("l1_size", 36, ">I", 1, ErrorKind.CORRUPT),
        ("l1_table", 36, ">I", 1 << 23, ErrorKind.CORRUPT),
        ("l1_table", 40, ">Q", 0x30200, ErrorKind.CORRUPT),
        ("l1_table", 40, ">Q", 0, ErrorKind.CORRUPT),
        ("l1_table", 40, ">Q", 0xFFFF_FFFF_FFFF_0000, ErrorKind.CORRUPT),
        ("refcount_table", 48, ">Q", 0x10001, ErrorKind.CORRUPT),
        ("refcount_table", 56, ">I", 129, ErrorKind.CORRUPT),
        ("refcount_table_clusters", 56, ">I", 0, ErrorKind.CORRUPT),
        ("nb_snapshots", 60, ">I", 65537, ErrorKind.CORRUPT),
        ("snapshots", 60, ">I", 1, ErrorKind.CORRUPT),
        ("incompatible_features", 72, ">Q", 1 << 40, ErrorKind.UNSUPPORTED),
        ("compression_type", 72, ">Q", 8, ErrorKind.CORRUPT),
        ("refcount_order", 96, ">I", 7, ErrorKind.CORRUPT),
        ("header_length", 100, ">I", 100, ErrorKind.CORRUPT),
        ("header_length", 100, ">I", 0xFFFFFFF8, ErrorKind.CORRUPT),
        ("header_length", 100, ">I", 105, ErrorKind.CORRUPT),
        ("compression_type", 104, ">B", 2, ErrorKind.UNSUPPORTED),
        ("extensions", 112, ">II", (7, 1 << 20), ErrorKind.CORRUPT),
    ],
)
def test_a_bad_field_is_named(field: str, at: int, form: str, value: int | tuple[int, int], kind: ErrorKind) -> None:
    data = bytearray(a_header().serialize().ljust(65536, b"\0"))
    struct.pack_into(form, data, at, *(value if isinstance(value, tuple) else (value,)))
    with pytest.raises(HeaderError) as caught:
        parse_header(bytes(data))
    assert caught.value.field == field
    assert caught.value.kind is kind


def test_an_unknown_feature_is_called_by_the_name_the_image_gives() -> None:
    header = a_header(incompatible=1 << 9)
    header.set_extension(q.EXTENSION_FEATURE_NAMES, struct.pack(">BB46s", 0, 9, b"time travel"))
    with pytest.raises(HeaderError, match="time travel"):
        parse_header(header.serialize().ljust(65536, b"\0"))


def test_feature_names_give_way_to_a_backing_file_name_in_a_small_cluster() -> None:
    header = a_header(cluster_bits=9, size=32768, backing_file="a-base-of-some-length.qcow2")
    header.backing_format = "qcow2"
    header.set_extension(q.EXTENSION_FEATURE_NAMES, default_feature_names())
    parsed = parse_header(header.serialize().ljust(512, b"\0"))
    assert (parsed.backing_file, parsed.backing_format) == ("a-base-of-some-length.qcow2", "qcow2")
    assert parsed.extension(q.EXTENSION_FEATURE_NAMES) is None


def test_a_header_larger_than_its_cluster_is_refused() -> None:
    header = a_header(cluster_bits=9, l1_size=0)
    header.extensions.append(Extension(1, bytes(512)))
    with pytest.raises(BlockError) as caught:
        header.serialize()
    assert caught.value.kind is ErrorKind.NO_SPACE

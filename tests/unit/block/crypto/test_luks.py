"""LUKS headers: what is written is read, what is broken is refused."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varan.block.base import BlockError, ErrorKind
from varan.block.crypto import luks
from varan.block.crypto.keyslots import build, header_from
from varan.block.crypto.luks import HEADER_BYTES, SLOTS

CHANCE = random.Random(7)
OPTIONS = {"iter-time": "1"}


def a_header() -> luks.LuksHeader:
    header = header_from({"hash-alg": "sha1", "cipher-alg": "aes-128"})
    luks.seal(header, bytes(range(32)), 1000, CHANCE.randbytes)
    return header


def test_header_round_trip() -> None:
    header = a_header()
    luks.fill_slot(header, 3, bytes(range(32)), b"pw", 1000, CHANCE.randbytes)
    data = header.encode()
    assert len(data) == HEADER_BYTES == 592
    assert luks.decode(data) == header
    assert luks.decode(data).encode() == data


def test_layout_of_a_256_bit_xts_header() -> None:
    header = header_from({})
    assert header.payload_offset * 512 == 2068480
    assert [slot.offset * 512 for slot in header.slots[:3]] == [4096, 262144, 520192]


@pytest.mark.parametrize("hash_name", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("size", [16, 32, 64, 33])
def test_split_key_comes_back(hash_name: str, size: int) -> None:
    key = CHANCE.randbytes(size)
    material = luks.split(key, hash_name, CHANCE.randbytes)
    assert len(material) == size * 4000
    assert luks.merge(material, size, hash_name) == key
    damaged = bytearray(material)
    damaged[len(damaged) // 2] ^= 1
    assert luks.merge(bytes(damaged), size, hash_name) != key


def test_slot_opens_with_its_password_only() -> None:
    header = header_from({"cipher-alg": "aes-128"})
    start, master = build(header, b"right", 1)
    slot = header.slots[0]
    material = start[slot.offset * 512 :]
    assert luks.open_slot(header, 0, material, b"right") == master
    assert luks.open_slot(header, 0, material, b"wrong") is None


def test_iterations_follow_the_clock() -> None:
    seconds = iter([0.0, 0.1])
    assert luks.iterations_for(1000, "sha256", 32, lambda: next(seconds)) == 81920
    seconds = iter([0.0, 1e9])
    assert luks.iterations_for(1, "sha256", 32, lambda: next(seconds)) == luks.MINIMUM_ITERATIONS


def test_essiv_is_kept_with_its_hash() -> None:
    header = header_from({"cipher-mode": "cbc", "ivgen-alg": "essiv"})
    luks.seal(header, bytes(32), 1000, CHANCE.randbytes)
    found = luks.decode(header.encode())
    assert (found.mode, found.generator, found.essiv_hash) == ("cbc", "essiv", "sha256")


@pytest.mark.parametrize(
    ("at", "form", "value", "words"),
    [
        (0, ">I", 0, "no LUKS header"),
        (6, ">H", 2, "version 2"),
        (108, ">I", 0xFFFFFFFF, "key"),
        (164, ">I", 0, "iterations"),
        (164, ">I", 0xFFFFFFFF, "iterations"),
        (208, ">I", 1, "neither active nor inactive"),
        (208 + 40, ">I", 0, "overlaps"),
        (208 + 40, ">I", 0xFFFFFFF0, "payload"),
        (208 + 44, ">I", 0, "stripes"),
        (208 + 48 + 40, ">I", 9, "overlaps"),
        (8, "32s", b"x" * 32, "cipher name"),
        (8, "32s", b"rot13", "rot13"),
        (40, "32s", b"cbc-essiv", "essiv"),
        (40, "32s", b"cbc-random", "random"),
        (72, "32s", b"crc32", "crc32"),
    ],
)
def test_broken_fields_are_named(at: int, form: str, value: object, words: str) -> None:
    data = bytearray(a_header().encode())
    struct.pack_into(form, data, at, value)
    with pytest.raises(BlockError, match=words) as caught:
        luks.decode(bytes(data))
    assert caught.value.kind in (ErrorKind.CORRUPT, ErrorKind.UNSUPPORTED, ErrorKind.INVALID)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, HEADER_BYTES - 1), st.integers(0, 255)), max_size=12), st.integers(0, 700))
def test_damaged_headers_are_refused_or_sane(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(a_header().encode())
    for at, value in changes:
        data[at] = value
    try:
        header = luks.decode(bytes(data[:length]) if length < 300 else bytes(data))
    except BlockError:
        return
    assert len(header.slots) == SLOTS
    assert header.key_bytes <= 64
    assert all(0 < slot.iterations <= luks.MAX_ITERATIONS for slot in header.slots if slot.active)

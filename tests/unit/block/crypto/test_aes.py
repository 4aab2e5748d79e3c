"""Sector ciphers agree with the library's own modes, sector by sector, and with published vectors."""

from __future__ import annotations

import hashlib
import random

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from varan.block.base import BlockError, ErrorKind
from varan.block.crypto.aes import SECTOR, SectorCipher, legacy_cipher

KEY = bytes(range(64))
DATA = random.Random(1).randbytes(300 * SECTOR)


def by_sector(make: object, sector: int, data: bytes) -> bytes:
    parts = []
    for index in range(len(data) // SECTOR):
        context = Cipher(*make(sector + index)).encryptor()  # type: ignore[operator]
        parts.append(context.update(data[index * SECTOR : (index + 1) * SECTOR]))
    return b"".join(parts)


@pytest.mark.parametrize("key", [KEY[:32], KEY])
@pytest.mark.parametrize("sector", [0, 5, (1 << 32) - 3, 1 << 40])
def test_xts_agrees_with_one_context_per_sector(key: bytes, sector: int) -> None:
    cipher = SectorCipher("xts", key)
    expected = by_sector(lambda number: (algorithms.AES(key), modes.XTS(number.to_bytes(16, "little"))), sector, DATA)
    assert bytes(cipher.encrypt(sector, DATA)) == expected
    assert bytes(cipher.decrypt(sector, expected)) == DATA


def test_xts_ieee_1619_vector_4() -> None:
    key = bytes.fromhex("2718281828459045235360287471352631415926535897932384626433832795")
    sealed = bytes(SectorCipher("xts", key).encrypt(0, bytes(range(256)) * 2))
    assert sealed[:32].hex() == "27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c"


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("sector", [0, (1 << 32) - 3])
def test_cbc_agrees_with_one_context_per_sector(size: int, sector: int) -> None:
    key = KEY[:size]
    expected = by_sector(lambda number: (algorithms.AES(key), modes.CBC(number.to_bytes(16, "little"))), sector, DATA)
    cipher = SectorCipher("cbc", key, "plain64")
    assert bytes(cipher.encrypt(sector, DATA)) == expected
    assert bytes(cipher.decrypt(sector, expected)) == DATA


def test_plain_iv_wraps_at_32_bits() -> None:
    narrow, wide = SectorCipher("cbc", KEY[:32], "plain"), SectorCipher("cbc", KEY[:32], "plain64")
    assert bytes(narrow.encrypt((1 << 32) + 7, DATA)) == bytes(wide.encrypt(7, DATA))


def test_essiv_iv_is_the_number_encrypted_with_the_hashed_key() -> None:
    key = KEY[:16]
    salted = Cipher(algorithms.AES(hashlib.sha256(key).digest()), modes.ECB())

    def iv(number: int) -> bytes:
        return salted.encryptor().update(number.to_bytes(16, "little"))

    expected = by_sector(lambda number: (algorithms.AES(key), modes.CBC(iv(number))), 3, DATA)
    assert bytes(SectorCipher("cbc", key, "essiv", "sha256").encrypt(3, DATA)) == expected


def test_ecb_has_no_iv() -> None:
    cipher = SectorCipher("ecb", KEY[:32])
    assert bytes(cipher.encrypt(1, DATA)) == bytes(cipher.encrypt(2, DATA))
    assert bytes(cipher.decrypt(9, cipher.encrypt(1, DATA))) == DATA


def test_old_passwords_are_cut_and_padded() -> None:
    assert bytes(legacy_cipher(b"0123456789abcdefXYZ").encrypt(4, DATA)) == bytes(
        legacy_cipher(b"0123456789abcdef").encrypt(4, DATA)
    )
    assert bytes(legacy_cipher(b"a").encrypt(4, DATA)) == bytes(
        SectorCipher("cbc", b"a".ljust(16, b"\0")).encrypt(4, DATA)
    )


def test_nothing_to_encrypt_is_nothing() -> None:
    assert bytes(SectorCipher("xts", KEY).encrypt(0, b"")) == b""


def test_part_of_a_sector_is_refused() -> None:
    with pytest.raises(ValueError, match="whole sectors"):
        SectorCipher("xts", KEY).encrypt(0, bytes(16))


@pytest.mark.parametrize(
    ("mode", "key", "generator", "hash_name"),
    [
        ("gcm", KEY, "plain64", "sha256"),
        ("xts", KEY[:48], "plain64", "sha256"),
        ("cbc", KEY[:20], "plain64", "sha256"),
        ("cbc", KEY[:32], "lfsr", "sha256"),
        ("cbc", KEY[:32], "essiv", "sha1"),
        ("cbc", KEY[:32], "essiv", "no-such-hash"),
    ],
)
def test_what_is_not_known_is_a_clear_error(mode: str, key: bytes, generator: str, hash_name: str) -> None:
    with pytest.raises(BlockError) as caught:
        SectorCipher(mode, key, generator, hash_name)
    assert caught.value.kind in (ErrorKind.UNSUPPORTED, ErrorKind.INVALID)

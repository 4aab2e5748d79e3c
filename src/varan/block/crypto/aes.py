"""Sector ciphers: AES in XTS, CBC or ECB mode over 512-byte sectors, each with an IV made from its number.

A request is many sectors, and a call into the cipher for each of them would cost more than the cipher. Every mode is
therefore put together from few ECB calls over all sectors at once, with the chaining (the exclusive-ors, and the
shifts of XTS in GF(2^128)) done on arrays: XTS is E(P ^ T) ^ T with T of block j = T0 * x^j; CBC decryption is
D(C) ^ previous C; CBC encryption walks the blocks of a sector, all sectors in step. ECB contexts keep no state, so
one is made for each call, and calls may come from any thread. References: IEEE 1619-2007 (XTS), LUKS1 format 1.2.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from varan.block.base import BlockError, ErrorKind

if TYPE_CHECKING:
    import numpy as np
    from cryptography.hazmat.primitives.ciphers import Cipher
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

Bytes = bytes | bytearray | memoryview

SECTOR = 512
"""Bytes that one IV covers."""

PIECE = 128 * SECTOR
"""Bytes worked on at a time: what the arrays need besides stays in the processor's cache."""

BLOCK = 16
BLOCKS_PER_SECTOR = SECTOR // BLOCK
KEY_BYTES = {"aes-128": 16, "aes-192": 24, "aes-256": 32}
MODES = ("xts", "cbc", "ecb")
IV_GENERATORS = ("plain64", "plain", "essiv")
HASHES = ("sha256", "sha1", "sha512", "sha224", "sha384", "ripemd160", "md5")


def key_length(cipher: str, mode: str) -> int:
    """Bytes of master key that `cipher` ("aes-256") takes in `mode`: XTS wants two keys."""
    if cipher not in KEY_BYTES:
        raise BlockError(ErrorKind.UNSUPPORTED, f"cipher '{cipher}' is not supported (known: {', '.join(KEY_BYTES)})")
    if mode not in MODES:
        raise BlockError(ErrorKind.UNSUPPORTED, f"cipher mode '{mode}' is not supported (known: {', '.join(MODES)})")
    if mode == "xts" and cipher == "aes-192":
        raise BlockError(ErrorKind.UNSUPPORTED, "cipher 'aes-192' cannot be used in mode 'xts'")
    return KEY_BYTES[cipher] * (2 if mode == "xts" else 1)


def digest(name: str, data: bytes) -> bytes:
    """The hash `name` of `data`. Raises BlockError for hashes that are unknown here."""
    try:
        return hashlib.new(name, data, usedforsecurity=False).digest()
    except ValueError:
        raise BlockError(ErrorKind.UNSUPPORTED, f"hash '{name}' is not supported here") from None


def _ecb(key: bytes) -> Cipher[Any]:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    return Cipher(algorithms.AES(key), modes.ECB())


def _run(context: Any, words: Words) -> Words:
    """The whole array through an ECB context."""
    import numpy as np

    out = bytearray(words.nbytes + BLOCK - 1)
    context.update_into(words.reshape(-1).view(np.uint8).data, out)
    return np.frombuffer(out, np.uint64, words.size).reshape(words.shape)


class SectorCipher:
    """One key, one mode, one kind of IV. Immutable, so any number of threads may use it.

    `generator` is "plain" (the sector number in 32 bits), "plain64", or "essiv" (the number, encrypted with the
    `essiv_hash` of the key).
    """

    def __init__(self, mode: str, key: bytes, generator: str = "plain64", essiv_hash: str = "sha256") -> None:
        cipher = f"aes-{len(key) * (4 if mode == 'xts' else 8)}"
        if len(key) != key_length(cipher, mode):
            raise BlockError(ErrorKind.INVALID, f"a key of {len(key)} bytes does not fit cipher mode '{mode}'")
        if generator not in IV_GENERATORS:
            raise BlockError(ErrorKind.UNSUPPORTED, f"IV generator '{generator}' is not supported")
        self.mode = mode
        self.generator = generator
        half = len(key) // 2 if mode == "xts" else len(key)
        self._data = _ecb(key[:half])
        self._tweak = _ecb(key[half:]) if mode == "xts" else None
        self._essiv = _ecb(_essiv_key(essiv_hash, key)) if generator == "essiv" else None

    def encrypt(self, sector: int, data: Bytes) -> memoryview:
        """`data` (whole sectors, the first numbered `sector`), encrypted."""
        return self._transform(sector, data, encrypt=True)

    def decrypt(self, sector: int, data: Bytes) -> memoryview:
        """`data` (whole sectors, the first numbered `sector`), decrypted."""
        return self._transform(sector, data, encrypt=False)

    def _transform(self, sector: int, data: Bytes, *, encrypt: bool) -> memoryview:
        view = memoryview(data).cast("B")
        if len(view) <= PIECE:
            return self._piece(sector, view, encrypt=encrypt)
        result = memoryview(bytearray(len(view)))
        for at in range(0, len(view), PIECE):
            piece = self._piece(sector + at // SECTOR, view[at : at + PIECE], encrypt=encrypt)
            result[at : at + PIECE] = piece
        return result

    def _piece(self, sector: int, data: memoryview, *, encrypt: bool) -> memoryview:
        import numpy as np

        words = np.frombuffer(data, np.uint64)
        if words.nbytes % SECTOR:
            raise ValueError("a sector cipher takes whole sectors")
        if not words.size:
            return memoryview(b"")
        words = words.reshape(-1, BLOCKS_PER_SECTOR, 2)
        context = self._data.encryptor() if encrypt else self._data.decryptor()
        if self.mode == "ecb":
            result = _run(context, words)
        elif self.mode == "xts":
            tweaks = self._tweaks(sector, len(words))
            result = _run(context, words ^ tweaks)
            result ^= tweaks
        elif encrypt:
            result = self._chain(context, sector, words)
        else:
            result = _run(context, words)
            result[:, 1:] ^= words[:, :-1]
            result[:, 0] ^= self._ivs(sector, len(words))
        return result.reshape(-1).view(np.uint8).data

    def _ivs(self, sector: int, count: int) -> Words:
        """The IVs of `count` sectors, two little-endian words each."""
        import numpy as np

        ivs = np.zeros((count, 2), np.dtype("<u8"))
        ivs[:, 0] = np.arange(sector, sector + count, dtype=np.uint64)
        if self.generator == "plain":
            ivs[:, 0] &= np.uint64(0xFFFFFFFF)
        return _run(self._essiv.encryptor(), ivs) if self._essiv else ivs

    def _tweaks(self, sector: int, count: int) -> Words:
        """The XTS tweak of every block: its sector's first one, shifted by its place in the sector, and folded."""
        import numpy as np

        assert self._tweak is not None
        first = _run(self._tweak.encryptor(), self._ivs(sector, count))
        low, high = first[:, :1], first[:, 1:]
        up = np.arange(BLOCKS_PER_SECTOR, dtype=np.uint64)
        down = np.uint64(64) - up
        down[0] = 63  # shifting by 64 is not defined; nothing is carried into the first block
        into_high, out = low >> down, high >> down
        into_high[:, 0] = out[:, 0] = 0
        tweaks = np.empty((count, BLOCKS_PER_SECTOR, 2), np.uint64)
        np.bitwise_or(high << up, into_high, out=tweaks[:, :, 1])
        low = low << up
        low ^= out
        for shift in (1, 1, 5):  # x^128 = x^7 + x^2 + x + 1
            out <<= np.uint64(shift)
            low ^= out
        tweaks[:, :, 0] = low
        return tweaks

    def _chain(self, context: Any, sector: int, words: Words) -> Words:
        """CBC encryption: block after block, all sectors in step."""
        import numpy as np

        result = np.empty(words.shape, np.uint64)
        previous = self._ivs(sector, len(words))
        for block in range(BLOCKS_PER_SECTOR):
            previous = _run(context, words[:, block] ^ previous)
            result[:, block] = previous
        return result


def _essiv_key(essiv_hash: str, key: bytes) -> bytes:
    salt = digest(essiv_hash, key)
    if len(salt) not in KEY_BYTES.values():
        raise BlockError(ErrorKind.UNSUPPORTED, f"hash '{essiv_hash}' gives no AES key for the IV generator 'essiv'")
    return salt


def legacy_cipher(password: bytes) -> SectorCipher:
    """The encryption of 2012's qcow and qcow2: AES-128-CBC, the password itself (cut or padded to 16 bytes) the key."""
    return SectorCipher("cbc", password[:16].ljust(16, b"\0"), "plain64")

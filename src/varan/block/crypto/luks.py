"""LUKS version 1: the header, its eight key slots, and how a password leads to the master key.

The header is one 592-byte structure, big-endian; each key slot's material (the master key, inflated to 4000 stripes so
that destroying any of it destroys the key, then encrypted with the password's key) lies at a sector offset counted
from the header. All here is pure: bytes in, bytes and values out; randomness and the clock are passed in.
Reference: LUKS1 On-Disk Format Specification 1.2.3.
"""

from __future__ import annotations

import hashlib
import itertools
import struct

from varan.block.base import BlockError, ErrorKind
from varan.block.crypto.aes import HASHES, SECTOR, SectorCipher, digest, key_length
from varan.light import TYPE_CHECKING, field, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

MAGIC = b"LUKS\xba\xbe"
SLOTS = 8
STRIPES = 4000
ACTIVE = 0x00AC71F3
INACTIVE = 0x0000DEAD
MAX_KEY_BYTES = 64
MATERIAL_ALIGNMENT = 4096
MINIMUM_ITERATIONS = 1000
MAX_ITERATIONS = 1 << 28
"""More would keep the opener busy for minutes: refused."""
DIGEST_BYTES = 20
SALT_BYTES = 32

_HEADER = struct.Struct(">6sH32s32s32sII20s32sI40s")
_SLOT = struct.Struct(">II32sII")
HEADER_BYTES = _HEADER.size + SLOTS * _SLOT.size

Random: TypeAlias = "Callable[[int], bytes]"


@record(slots=True)
class KeySlot:
    """One way in. `offset` is in sectors from the header."""

    active: bool = False
    iterations: int = 0
    salt: bytes = bytes(SALT_BYTES)
    offset: int = 0
    stripes: int = STRIPES


@record(slots=True)
class LuksHeader:
    """The header's fields. `payload_offset` is in sectors from the header."""

    cipher: str
    """With the key length: "aes-256"."""
    mode: str
    generator: str
    essiv_hash: str
    """The hash of the IV generator "essiv". Others have none to use, but it is kept."""
    hash: str
    key_bytes: int
    payload_offset: int = 0
    digest: bytes = bytes(DIGEST_BYTES)
    digest_salt: bytes = bytes(SALT_BYTES)
    digest_iterations: int = 0
    uuid: str = ""
    slots: list[KeySlot] = field(default_factory=lambda: [KeySlot() for _ in range(SLOTS)])

    @property
    def material_bytes(self) -> int:
        """Bytes that one slot's key material takes, in whole sectors."""
        return -(-self.key_bytes * STRIPES // SECTOR) * SECTOR

    def cipher_for(self, key: bytes) -> SectorCipher:
        """The sector cipher that the header describes, with `key`."""
        return SectorCipher(self.mode, key, self.generator, self.essiv_hash or "sha256")

    def encode(self) -> bytes:
        """The 592 bytes on disk."""
        generator = f"{self.generator}:{self.essiv_hash}" if self.essiv_hash else self.generator
        mode = self.mode if self.mode == "ecb" else f"{self.mode}-{generator}"
        parts = [
            _HEADER.pack(
                MAGIC,
                1,
                self.cipher.partition("-")[0].encode(),
                mode.encode(),
                self.hash.encode(),
                self.payload_offset,
                self.key_bytes,
                self.digest,
                self.digest_salt,
                self.digest_iterations,
                self.uuid.encode(),
            )
        ]
        parts += [
            _SLOT.pack(ACTIVE if slot.active else INACTIVE, slot.iterations, slot.salt, slot.offset, slot.stripes)
            for slot in self.slots
        ]
        return b"".join(parts)


def decode(data: bytes) -> LuksHeader:
    """The header in the first 592 bytes of `data`, checked. Raises BlockError: INVALID, UNSUPPORTED or CORRUPT."""
    if len(data) < HEADER_BYTES or data[:6] != MAGIC:
        raise BlockError(ErrorKind.INVALID, "this is no LUKS header")
    (_, version, cipher, mode, hash_name, payload, key_bytes, mk_digest, salt, iterations, uuid) = _HEADER.unpack_from(
        data
    )
    if version != 1:
        raise BlockError(ErrorKind.UNSUPPORTED, f"LUKS version {version} is not supported (only version 1)")
    block_mode, generator, essiv_hash = _split_mode(_text(mode, "cipher mode"))
    header = LuksHeader(
        cipher=_named_cipher(_text(cipher, "cipher name"), block_mode, key_bytes),
        mode=block_mode,
        generator=generator,
        essiv_hash=essiv_hash,
        hash=_text(hash_name, "hash"),
        key_bytes=key_bytes,
        payload_offset=payload,
        digest=mk_digest,
        digest_salt=salt,
        digest_iterations=iterations,
        uuid=_text(uuid, "UUID"),
        slots=[_decode_slot(data, index) for index in range(SLOTS)],
    )
    _check(header)
    return header


def _decode_slot(data: bytes, index: int) -> KeySlot:
    active, iterations, salt, offset, stripes = _SLOT.unpack_from(data, _HEADER.size + index * _SLOT.size)
    if active not in (ACTIVE, INACTIVE):
        raise _corrupt(f"key slot {index} is neither active nor inactive (0x{active:x})")
    return KeySlot(active == ACTIVE, iterations, salt, offset, stripes)


def _text(raw: bytes, what: str) -> str:
    text, end, _ = raw.partition(b"\0")
    if not end or not text.isascii() or not text.decode("ascii", "replace").isprintable():
        raise _corrupt(f"the {what} is not a terminated string")
    return text.decode()


def _split_mode(text: str) -> tuple[str, str, str]:
    mode, _, generator = text.partition("-")
    generator, _, essiv_hash = generator.partition(":")
    if mode != "ecb" and generator not in ("plain", "plain64", "essiv"):
        raise BlockError(ErrorKind.UNSUPPORTED, f"IV generator '{generator}' is not supported")
    if generator == "essiv" and not essiv_hash:
        raise _corrupt(f"cipher mode '{text}' makes no sense: 'essiv' goes with a hash")
    return mode, generator or "plain64", essiv_hash


def _named_cipher(name: str, mode: str, key_bytes: int) -> str:
    if not 0 < key_bytes <= MAX_KEY_BYTES:
        raise _corrupt(f"a key of {key_bytes} bytes is none that a cipher takes")
    cipher = f"{name}-{key_bytes * (4 if mode == 'xts' else 8)}"
    if key_length(cipher, mode) != key_bytes:
        raise _corrupt(f"a key of {key_bytes} bytes does not fit {name} in mode {mode}")
    return cipher


def _check(header: LuksHeader) -> None:
    """What must hold before any of it is used: bounded sizes, nothing overlapping."""
    if header.hash not in HASHES:
        raise BlockError(ErrorKind.UNSUPPORTED, f"hash '{header.hash}' is not supported")
    if not 0 < header.digest_iterations <= MAX_ITERATIONS:
        raise _corrupt(f"the master key's digest cannot have {header.digest_iterations} iterations")
    sectors = header.material_bytes // SECTOR
    taken = [(0, -(-HEADER_BYTES // SECTOR), "the header")]
    for index, slot in enumerate(header.slots):
        if slot.stripes != STRIPES:
            raise _corrupt(f"key slot {index} has {slot.stripes} stripes, not {STRIPES}")
        if slot.active and not 0 < slot.iterations <= MAX_ITERATIONS:
            raise _corrupt(f"key slot {index} cannot have {slot.iterations} iterations")
        taken.append((slot.offset, slot.offset + sectors, f"key slot {index}"))
    taken.sort()
    for (_, end, one), (start, _, other) in itertools.pairwise(taken):
        if start < end:
            raise _corrupt(f"{other} overlaps {one}")
    if taken[-1][1] > header.payload_offset:
        raise _corrupt(f"{taken[-1][2]} reaches into the payload")


def _corrupt(message: str) -> BlockError:
    return BlockError(ErrorKind.CORRUPT, f"LUKS header: {message}")


def layout(header: LuksHeader) -> None:
    """Give the slots and the payload the places that new images have: 4 KiB aligned, one after the other."""
    alignment = MATERIAL_ALIGNMENT // SECTOR
    sectors = -(-header.material_bytes // MATERIAL_ALIGNMENT) * alignment
    for index, slot in enumerate(header.slots):
        slot.offset = alignment + index * sectors
    header.payload_offset = alignment + SLOTS * sectors


def _diffuse(block: bytes, hash_name: str) -> bytes:
    """Hash a stripe piece by piece, so that each bit of it depends on its whole piece."""
    size = len(digest(hash_name, b""))
    pieces = []
    for index, start in enumerate(range(0, len(block), size)):
        piece = block[start : start + size]
        pieces.append(digest(hash_name, struct.pack(">I", index) + piece)[: len(piece)])
    return b"".join(pieces)


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "little") ^ int.from_bytes(other, "little")).to_bytes(len(one), "little")


def split(key: bytes, hash_name: str, random: Random) -> bytes:
    """The anti-forensic material of `key`: random stripes, and a last one from which all together give the key."""
    filler = random(len(key) * (STRIPES - 1))
    state = _gathered(filler, len(key), hash_name)
    return filler + _xor(state, key)


def merge(material: bytes, key_bytes: int, hash_name: str) -> bytes:
    """The key in anti-forensic `material`."""
    last = key_bytes * (STRIPES - 1)
    return _xor(_gathered(material[:last], key_bytes, hash_name), material[last : last + key_bytes])


def _gathered(stripes: bytes, size: int, hash_name: str) -> bytes:
    state = bytes(size)
    for start in range(0, len(stripes), size):
        state = _diffuse(_xor(state, stripes[start : start + size]), hash_name)
    return state


def derive(hash_name: str, password: bytes, salt: bytes, iterations: int, size: int) -> bytes:
    """PBKDF2. Heavy on purpose; releases the GIL."""
    try:
        return hashlib.pbkdf2_hmac(hash_name, password, salt, iterations, size)
    except ValueError:
        raise BlockError(ErrorKind.UNSUPPORTED, f"hash '{hash_name}' is not supported here") from None


def open_slot(header: LuksHeader, index: int, material: bytes, password: bytes) -> bytes | None:
    """The master key, when `password` opens slot `index`, whose material is given; else None."""
    slot = header.slots[index]
    key = derive(header.hash, password, slot.salt, slot.iterations, header.key_bytes)
    stripes = header.cipher_for(key).decrypt(0, material)
    master = merge(bytes(stripes), header.key_bytes, header.hash)
    found = derive(header.hash, master, header.digest_salt, header.digest_iterations, DIGEST_BYTES)
    return master if found == header.digest else None


def fill_slot(header: LuksHeader, index: int, master: bytes, password: bytes, iterations: int, random: Random) -> bytes:
    """Make slot `index` open with `password`; gives the material to be written at the slot's place.

    The material must be on disk before the header that calls the slot active.
    """
    salt = random(SALT_BYTES)
    key = derive(header.hash, password, salt, iterations, header.key_bytes)
    stripes = split(master, header.hash, random).ljust(header.material_bytes, b"\0")
    slot = header.slots[index]
    slot.active, slot.iterations, slot.salt = True, iterations, salt
    return bytes(header.cipher_for(key).encrypt(0, stripes))


def clear_slot(header: LuksHeader, index: int) -> None:
    """Make slot `index` inactive. Its material is the caller's to overwrite."""
    slot = header.slots[index]
    slot.active, slot.iterations, slot.salt = False, 0, bytes(SALT_BYTES)


def seal(header: LuksHeader, master: bytes, iterations: int, random: Random) -> None:
    """Set the digest by which the master key is recognized."""
    header.digest_salt = random(SALT_BYTES)
    header.digest_iterations = iterations
    header.digest = derive(header.hash, master, header.digest_salt, iterations, DIGEST_BYTES)


def iterations_for(milliseconds: int, hash_name: str, size: int, clock: Callable[[], float]) -> int:
    """How many PBKDF2 iterations take `milliseconds` here, by `clock` (processor seconds)."""
    rounds = 1 << 13
    while True:
        start = clock()
        derive(hash_name, b"password", bytes(SALT_BYTES), rounds, size)
        spent = clock() - start
        if spent >= 0.05 or rounds >= 1 << 24:
            break
        rounds *= 2
    wanted = int(rounds * milliseconds / 1000 / max(spent, 1e-6))
    return min(max(wanted, MINIMUM_ITERATIONS), MAX_ITERATIONS)

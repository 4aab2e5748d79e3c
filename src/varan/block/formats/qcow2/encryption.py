"""Encrypted qcow2 images: LUKS, with the header in clusters of the image, and the AES of 2012.

Guest data are encrypted sector by sector, metadata are not. A sector's number, from which its IV comes, is that of its
place in the file with LUKS, and that of its place on the disk with the old AES.
"""

from __future__ import annotations

import struct

from varan.block.base import BlockError, CreateOption, ErrorKind, Node
from varan.block.crypto import keyslots
from varan.block.crypto.aes import SECTOR, Bytes, SectorCipher, legacy_cipher
from varan.block.crypto.keyslots import Area
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.header import Header
from varan.light import TYPE_CHECKING, record, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

FORMATS = {q.CRYPT_AES: "aes", q.CRYPT_LUKS: "luks"}
"""Names of the methods, as the option `encrypt.format` has them."""

CREATE_OPTIONS = (
    CreateOption("encryption", "bool", "Encrypt with the AES of 2012 (the same as encrypt.format=aes)", "off"),
    CreateOption("encrypt.format", "string", "Encryption: luks, or aes (weak; only for old readers)"),
    *(replace(option, name=f"encrypt.{option.name}") for option in keyslots.LUKS_CREATE_OPTIONS),
)


class DataCipher:
    """What is done to guest data on their way; whole sectors at a time."""

    def __init__(self, method: int, cipher: SectorCipher | None, where: str) -> None:
        self.by_guest_offset = method == q.CRYPT_AES
        """Offsets are the guest's; else those in the file."""
        self._cipher = cipher
        self._where = where

    @property
    def locked(self) -> bool:
        """No key was given: metadata can be looked at, data cannot."""
        return self._cipher is None

    def encrypt(self, offset: int, data: Bytes) -> memoryview:
        """An encrypted copy. Raises BlockError of kind ENCRYPTED when there is no key."""
        return self._open().encrypt(offset // SECTOR, data)

    def decrypt(self, offset: int, view: memoryview) -> None:
        """Decrypt in place. Raises BlockError of kind ENCRYPTED when there is no key."""
        view[:] = self._open().decrypt(offset // SECTOR, view)

    def _open(self) -> SectorCipher:
        if self._cipher is None:
            raise BlockError(ErrorKind.ENCRYPTED, "'encrypt.key-secret' is needed to read the image", where=self._where)
        return self._cipher


def crypto_extension(offset: int, length: int) -> bytes:
    """The header extension of a LUKS image: where its header lies, in bytes."""
    return struct.pack(">QQ", offset, length)


def luks_area(header: Header, file: Node) -> Area:
    """Where the LUKS header of an image lies. Raises BlockError of kind CORRUPT."""
    data = header.extension(q.EXTENSION_CRYPTO)
    if data is None or len(data) != 16:
        raise BlockError(ErrorKind.CORRUPT, "the encryption header's place is not given", where=file.filename)
    offset, length = struct.unpack(">QQ", data)
    if not offset or offset % header.cluster_size or offset + length > q.MAX_IMAGE_BYTES:
        raise BlockError(ErrorKind.CORRUPT, f"the encryption header cannot be at 0x{offset:x}", where=file.filename)
    return Area(file, offset, length)


async def open_cipher(
    header: Header, file: Node, options: Mapping[str, Any], secret: Callable[[str], bytes]
) -> DataCipher:
    """The cipher of an encrypted image's data, by its options `encrypt.*`. Without a key it is locked.

    Raises BlockError: ENCRYPTED when the key does not fit, CORRUPT, INVALID when `encrypt.format` is another one.
    """
    wanted, name = options.get("encrypt.format"), options.get("encrypt.key-secret")
    found = FORMATS[header.crypt_method]
    if wanted and wanted != found:
        raise BlockError(ErrorKind.INVALID, f"the encryption is '{found}', not '{wanted}'", where=file.filename)
    if not name:
        return DataCipher(header.crypt_method, None, file.filename)
    return await open_with(header, file, secret(name))


async def open_with(header: Header, file: Node, password: bytes) -> DataCipher:
    """The cipher that `password` opens; the AES of 2012 opens with any. Raises BlockError: ENCRYPTED, CORRUPT."""
    if header.crypt_method == q.CRYPT_AES:
        return DataCipher(q.CRYPT_AES, legacy_cipher(password), file.filename)
    area = luks_area(header, file)
    luks_header = await keyslots.load(area)
    key = await keyslots.unlock(area, luks_header, password)
    return DataCipher(q.CRYPT_LUKS, luks_header.cipher_for(key), file.filename)


@record(frozen=True, slots=True)
class NewEncryption:
    """How a new image is encrypted: `area_length` bytes have to be set aside for `start`."""

    method: int
    start: bytes = b""
    area_length: int = 0


async def new_encryption(options: Mapping[str, str], secret: Callable[[str], bytes]) -> NewEncryption:
    """What the create options `encryption` and `encrypt.*` ask for. Raises BlockError."""
    given = {name.removeprefix("encrypt."): value for name, value in options.items() if name.startswith("encrypt.")}
    form = given.pop("format", None)
    if options.get("encryption") in ("on", "yes", "true", "y"):
        if form is not None:
            raise BlockError(ErrorKind.INVALID, "'encryption' and 'encrypt.format' exclude each other")
        form = "aes"
    if form is None:
        if given:
            raise BlockError(ErrorKind.INVALID, f"'encrypt.{next(iter(given))}' wants 'encrypt.format'")
        return NewEncryption(q.CRYPT_NONE)
    if form not in FORMATS.values():
        raise BlockError(ErrorKind.INVALID, f"'encrypt.format' is 'luks' or 'aes', not '{form}'")
    if "key-secret" not in given:
        raise BlockError(ErrorKind.INVALID, "'encrypt.key-secret' is needed to make an encrypted image")
    password = secret(given["key-secret"])
    if form == "aes":
        return NewEncryption(q.CRYPT_AES)
    header = keyslots.header_from(given)
    milliseconds = keyslots.iteration_time(given)
    start, _ = await keyslots.offload(lambda: keyslots.build(header, password, milliseconds))
    length = header.payload_offset * SECTOR
    return NewEncryption(q.CRYPT_LUKS, start.ljust(length, b"\0"), length)


async def encryption_info(header: Header, file: Node) -> dict[str, object] | None:
    """What `info` shows of an image's encryption; None where there is none. Raises BlockError."""
    if header.crypt_method != q.CRYPT_LUKS:
        return {"format": "aes"} if header.crypt_method else None
    return {"format": "luks"} | keyslots.describe(await keyslots.load(luks_area(header, file)))

"""LUKS version 1 as an image format of its own: a header, then the encrypted disk."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from varan.block import registry
from varan.block.base import (
    BlockError,
    Buffers,
    CreateOption,
    Driver,
    Edge,
    ErrorKind,
    Limits,
    Node,
    OpenOptions,
    Permission,
    Write,
    no_secrets,
)
from varan.block.crypto import keyslots, luks
from varan.block.crypto.aes import SECTOR
from varan.block.crypto.keyslots import Area
from varan.block.crypto.sectors import EncryptedRange
from varan.block.request import size_of


class LuksNode(Node):
    """An opened LUKS image: the decrypted disk."""

    driver = "luks"

    def __init__(self, options: OpenOptions, file: Edge, header: luks.LuksHeader, key: bytes | None) -> None:
        super().__init__(options)
        self.children["file"] = file
        self.header = header
        self._start = header.payload_offset * SECTOR
        self._sectors: EncryptedRange | None = None
        if key is not None:
            self._use(key)

    def _use(self, key: bytes) -> None:
        cipher = self.header.cipher_for(key)
        self._sectors = EncryptedRange(self._file, self._start, cipher, inline=self.options.inline)

    @property
    def length(self) -> int:
        return max(0, self._file.length - self._start) // SECTOR * SECTOR

    @property
    def limits(self) -> Limits:
        return Limits(request_alignment=SECTOR, zero_alignment=SECTOR)

    @property
    def filename(self) -> str:
        return self._file.filename

    @property
    def _file(self) -> Node:
        return self.children["file"].node

    @property
    def encrypted(self) -> bool:
        return True

    @property
    def locked(self) -> bool:
        return self._sectors is None

    async def unlock(self, password: bytes) -> None:
        key = await keyslots.unlock(self.area, self.header, password, inline=self.options.inline)
        if self.locked:
            self._use(key)

    @property
    def area(self) -> Area:
        """Where the header and its key material lie."""
        return Area(self._file, 0, self._start)

    @property
    def _range(self) -> EncryptedRange:
        if self._sectors is None:
            raise BlockError(ErrorKind.ENCRYPTED, "'key-secret' is needed to read the image", where=self.filename)
        return self._sectors

    async def read(self, offset: int, buffers: Buffers) -> None:
        await self._range.read(offset, buffers)

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        self.note_write(offset, size_of(buffers))
        await self._range.write(offset, buffers, flags)

    async def flush(self) -> None:
        await self._file.flush()

    async def truncate(self, length: int, preallocation: str = "off", *, exact: bool = True) -> None:
        await self._file.truncate(self._start + length, preallocation, exact=exact)

    async def amend(self, options: Mapping[str, str], *, force: bool = False) -> None:
        """Add or erase a password (see `keyslots.amend`)."""
        if self.read_only:
            raise BlockError(ErrorKind.READ_ONLY, "the image is open read-only", where=self.filename)
        given = {"key-secret": self.options.driver_options["key-secret"], **options}
        await keyslots.amend(self.area, given, self.options.secret, force=force)

    def image_info(self) -> dict[str, Any]:
        """What `info` adds for this format."""
        return {"encrypted": True, "format-specific": {"type": "luks", "data": keyslots.describe(self.header)}}

    def child_permissions(self, role: str, wanted: Permission, shared: Permission) -> tuple[Permission, Permission]:
        return wanted | Permission.CONSISTENT_READ, shared


class LuksDriver(Driver):
    """The driver `luks`."""

    name = "luks"
    create_options: ClassVar[tuple[CreateOption, ...]] = (
        *keyslots.LUKS_CREATE_OPTIONS,
        CreateOption("preallocation", "string", "Preallocation: off, falloc, full", "off"),
    )
    open_options: ClassVar[Mapping[str, str]] = {"key-secret": "secret"}

    @classmethod
    def probe(cls, header: bytes, filename: str) -> int:
        return 100 if header[:8] == luks.MAGIC + struct.pack(">H", 1) else 0

    @classmethod
    async def open(cls, options: OpenOptions, children: dict[str, Edge]) -> Node:
        file = children["file"]
        start = Area(file.node, 0, file.node.length)
        header = await keyslots.load(start)
        name: Any = options.driver_options.get("key-secret")
        if not name and (options.describe_only or options.key_later):
            return LuksNode(options, file, header, None)
        if not name:
            raise BlockError(ErrorKind.ENCRYPTED, "'key-secret' is needed to open the image", where=file.node.filename)
        area = Area(file.node, 0, header.payload_offset * SECTOR)
        key = await keyslots.unlock(area, header, options.secret(name), inline=options.inline)
        return LuksNode(options, file, header, key)

    @classmethod
    async def create(
        cls, filename: str, size: int, options: dict[str, str], secret: Callable[[str], bytes] = no_secrets
    ) -> None:
        header = keyslots.header_from(options)
        milliseconds = keyslots.iteration_time(options)
        if "key-secret" not in options:
            raise BlockError(ErrorKind.INVALID, "'key-secret' is needed to make the image", where=filename)
        password = secret(options["key-secret"])
        start, _ = await keyslots.offload(lambda: keyslots.build(header, password, milliseconds))
        size = -(-size // SECTOR) * SECTOR
        await _write_file(filename, header.payload_offset * SECTOR + size, start, options.get("preallocation", "off"))


async def _write_file(filename: str, length: int, start: bytes, preallocation: str) -> None:
    protocol = registry.driver("file")
    await protocol.create(filename, length, {"preallocation": preallocation})
    node = await protocol.open(OpenOptions(driver_options={"filename": filename}), {})
    try:
        await node.write(0, [memoryview(start)])
        await node.flush()
    finally:
        await node.close()


DRIVER = LuksDriver

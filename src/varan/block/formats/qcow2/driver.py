"""The driver `qcow2`: how images are probed, opened and created."""

from __future__ import annotations

from varan.block.base import (
    ChildRole,
    CreateOption,
    Driver,
    Edge,
    Node,
    OpenOptions,
    Permission,
    no_secrets,
)
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.formats.qcow2.opening import read_header
from varan.block.formats.qcow2.tuning import OVERLAP_OPTIONS
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ClassVar


class Qcow2Driver(Driver):
    """Images that grow."""

    name = "qcow2"
    child_roles: ClassVar[tuple[ChildRole, ...]] = (
        ChildRole("file"),
        ChildRole("backing", probed=True, required=False),
        ChildRole("data-file", required=False),
    )
    open_options: ClassVar[dict[str, str]] = {
        "lazy-refcounts": "bool",
        "pass-discard-request": "bool",
        "pass-discard-snapshot": "bool",
        "pass-discard-other": "bool",
        **OVERLAP_OPTIONS,
        "cache-size": "size",
        "l2-cache-size": "size",
        "l2-cache-entry-size": "size",
        "refcount-cache-size": "size",
        "cache-clean-interval": "int",
        "encrypt.format": "str",
        "encrypt.key-secret": "secret",
        "repairing": "bool",
    }
    create_options: ClassVar[tuple[CreateOption, ...]] = (
        CreateOption("size", "size", "Virtual disk size"),
        CreateOption("compat", "string", "Compatibility level (v2 [0.10] or v3 [1.1])", "1.1"),
        CreateOption("backing_file", "string", "File name of a base image"),
        CreateOption("backing_fmt", "string", "Image format of the base image"),
        CreateOption("data_file", "string", "File name of an external data file"),
        CreateOption("data_file_raw", "bool", "The external data file must stay valid as a raw image"),
        CreateOption("extended_l2", "bool", "Extended L2 tables", "off"),
        CreateOption(
            "encryption", "bool", "Encrypt the image with format 'aes'. (Deprecated in favor of encrypt.format)"
        ),
        CreateOption("encrypt.format", "string", "Encrypt the image, format choices: 'aes', 'luks'"),
        CreateOption("encrypt.key-secret", "string", "ID of secret providing qcow AES key or LUKS passphrase"),
        CreateOption("encrypt.cipher-alg", "string", "Name of encryption cipher algorithm"),
        CreateOption("encrypt.cipher-mode", "string", "Name of encryption cipher mode"),
        CreateOption("encrypt.ivgen-alg", "string", "Name of IV generator algorithm"),
        CreateOption("encrypt.ivgen-hash-alg", "string", "Name of IV generator hash algorithm"),
        CreateOption("encrypt.hash-alg", "string", "Name of encryption hash algorithm"),
        CreateOption("encrypt.iter-time", "number", "Time to spend in PBKDF in milliseconds"),
        CreateOption("cluster_size", "size", "qcow2 cluster size", "65536"),
        CreateOption("preallocation", "string", "Preallocation mode (allowed values: off, metadata, falloc, full)"),
        CreateOption("lazy_refcounts", "bool", "Postpone refcount updates", "off"),
        CreateOption("refcount_bits", "number", "Width of a reference count entry in bits", "16"),
        CreateOption("compression_type", "string", "Compression method used for image cluster compression", "zlib"),
    )

    @classmethod
    def probe(cls, header: bytes, filename: str) -> int:
        return 100 if header[:4] == q.MAGIC and header[4:8] in (b"\0\0\0\2", b"\0\0\0\3") else 0

    @classmethod
    def opening_permissions(cls, role: str, read_only: bool) -> tuple[Permission, Permission]:
        if role == "backing" or read_only:
            return Permission.CONSISTENT_READ, Permission.ALL
        permissions = Permission.CONSISTENT_READ | Permission.WRITE | Permission.RESIZE
        return permissions, Permission.ALL & ~(Permission.WRITE | Permission.RESIZE)

    @classmethod
    async def open(cls, options: OpenOptions, children: dict[str, Edge]) -> Node:
        file = children["file"].node
        return Qcow2Node(options, await read_header(file), file)

    @classmethod
    async def create(
        cls, filename: str, size: int, options: dict[str, str], secret: Callable[[str], bytes] = no_secrets
    ) -> None:
        from varan.block.formats.qcow2.create import create

        await create(filename, size, options, secret)


DRIVER = Qcow2Driver

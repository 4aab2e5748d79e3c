"""Changing what an image is after it was made: version, refcount width, flags, size, names of other files, keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from varan.block.base import BlockError, CreateOption, ErrorKind, no_secrets
from varan.block.crypto import keyslots
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.buffers import zeros
from varan.block.formats.qcow2.cache import TableCache
from varan.block.formats.qcow2.entries import make_editor
from varan.block.formats.qcow2.header import default_feature_names
from varan.block.formats.qcow2.metadata import Metadata
from varan.block.formats.qcow2.refcounts import RefcountCodec
from varan.block.formats.qcow2.runs import Kind, make_mapper
from varan.block.formats.qcow2.tuning import cache_limits
from varan.core.sizes import parse_size
from varan.light import replace

if TYPE_CHECKING:
    from varan.block.formats.qcow2.node import Qcow2Node

AMEND_OPTIONS = (
    CreateOption("backing_file", "string", "File name of a base image"),
    CreateOption("backing_fmt", "string", "Image format of the base image"),
    CreateOption("compat", "string", "Compatibility level (v2 [0.10] or v3 [1.1])"),
    CreateOption("data_file", "string", "File name of an external data file"),
    CreateOption("data_file_raw", "bool", "The external data file must stay valid as a raw image"),
    *(replace(option, name=f"encrypt.{option.name}") for option in keyslots.LUKS_AMEND_OPTIONS),
    CreateOption("lazy_refcounts", "bool", "Postpone refcount updates"),
    CreateOption("refcount_bits", "number", "Width of a reference count entry in bits"),
    CreateOption("size", "size", "Virtual disk size"),
)
"""What can be changed."""

_ON = {"on": True, "yes": True, "true": True, "y": True, "off": False, "no": False, "false": False, "n": False}
_VERSIONS = {"0.10": 2, "v2": 2, "1.1": 3, "v3": 3}
_PIECE = 1 << 20


def _invalid(message: str) -> BlockError:
    return BlockError(ErrorKind.INVALID, message)


def _flag(options: Mapping[str, str], name: str) -> bool | None:
    if name not in options:
        return None
    if options[name] not in _ON:
        raise _invalid(f"Parameter '{name}' expects 'on' or 'off'")
    return _ON[options[name]]


class Amendment:
    """Options of one amendment, checked against the image before anything is changed. Raises BlockError."""

    def __init__(self, node: Qcow2Node, options: Mapping[str, str]) -> None:
        header = node.metadata.header
        known = {option.name for option in AMEND_OPTIONS}
        for name in options:
            if name not in known:
                raise _invalid(f"option '{name}' of an existing image cannot be changed")
        if options.get("compat", "1.1") not in _VERSIONS:
            raise _invalid(f"there is no compatibility level '{options['compat']}'")
        self.node = node
        self.options = options
        self.version = _VERSIONS[options["compat"]] if "compat" in options else header.version
        self.lazy = _flag(options, "lazy_refcounts")
        self.refcount_bits = self._bits()
        self.size = self._size()
        self.encrypt = {
            name.removeprefix("encrypt."): value for name, value in options.items() if name.startswith("encrypt.")
        }
        self._check_backing_file()
        self._check_version()
        self._check_encryption()
        self._check_data_file()

    def _bits(self) -> int:
        text = self.options.get("refcount_bits")
        if text is None:
            return self.node.metadata.geometry.refcount_bits
        bits = int(text) if text.isdecimal() else 0
        if bits not in (1, 2, 4, 8, 16, 32, 64):
            raise _invalid("'refcount_bits' is a power of two up to 64")
        return bits

    def _size(self) -> int | None:
        text = self.options.get("size")
        if text is None:
            return None
        size = parse_size(text)
        if size is None:
            raise _invalid(f"'{text}' is not a size")
        return -(-size // q.SECTOR) * q.SECTOR

    def _check_version(self) -> None:
        header = self.node.metadata.header
        if self.version >= 3:
            return
        lasting = header.incompatible & ~(q.INCOMPATIBLE_DIRTY | q.INCOMPATIBLE_CORRUPT)
        reasons = {
            "lazy refcounts": bool(self.lazy),
            "refcounts of other than 16 bits": self.refcount_bits != 16,
            "an external data file, subclusters or another compression type": bool(lasting),
            "persistent bitmaps": header.extension(q.EXTENSION_BITMAPS) is not None,
        }
        for what, has in reasons.items():
            if has:
                raise BlockError(ErrorKind.UNSUPPORTED, f"compatibility level 0.10 has no room for {what}")

    def _check_backing_file(self) -> None:
        """Naming the present one is allowed; another one would show other content, which `rebase` takes care of."""
        header, options = self.node.metadata.header, self.options
        present = {"backing_file": header.backing_file, "backing_fmt": header.backing_format}
        if any(options[name] != (value or "") for name, value in present.items() if name in options):
            raise _invalid("Cannot amend the backing file: that is what 'rebase' is for")

    def _check_encryption(self) -> None:
        if not self.encrypt:
            return
        if self.node.metadata.header.crypt_method != q.CRYPT_LUKS:
            raise BlockError(ErrorKind.UNSUPPORTED, "only images encrypted with LUKS have keys that can be changed")

    def _check_data_file(self) -> None:
        header = self.node.metadata.header
        raw = _flag(self.options, "data_file_raw")
        if self.options.get("data_file") and not header.has_data_file:
            raise _invalid("'data_file' is only for images with an external data file")
        if raw and not header.data_file_raw:
            raise _invalid("'data_file_raw' cannot be set on existing images")

    async def run(self, secret: Callable[[str], bytes], *, force: bool) -> None:
        """Change what is asked for. Raises BlockError."""
        metadata = self.node.metadata
        if self.version > metadata.header.version:
            await self._upgrade()
        if self.encrypt:
            await self._change_keys(secret, force=force)
        if self.lazy is not None:
            await self._set_lazy(self.lazy)
        if self.refcount_bits != metadata.geometry.refcount_bits:
            await self._set_refcount_bits()
        if self.options.get("data_file"):
            metadata.header.data_file = self.options["data_file"]
        if _flag(self.options, "data_file_raw") is False:
            metadata.header.autoclear &= ~q.AUTOCLEAR_DATA_FILE_RAW
        await self._write_header()
        if self.size is not None and self.size != self.node.length:
            await self.node.truncate(self.size)
        if self.version < metadata.header.version:
            await self._downgrade()

    async def _write_header(self) -> None:
        metadata = self.node.metadata
        async with metadata.lock:
            await metadata.commit_locked(closing=True)
            await metadata.write_header()
            await metadata.file.flush()

    def _refresh(self) -> None:
        """What was derived from the version."""
        node, metadata = self.node, self.node.metadata
        header = metadata.header
        node.writer.editor = make_editor(metadata.geometry, header)
        metadata.mapper = make_mapper(metadata.geometry, zero_flag=header.version >= 3, data_file=header.has_data_file)

    async def _upgrade(self) -> None:
        header = self.node.metadata.header
        if header.snapshots:
            from varan.block.formats.qcow2 import snapshots

            await snapshots.rewrite_table(self.node)  # version 3 wants each to say how large its disk is
        header.version = 3
        header.header_length = q.HEADER_LENGTH
        header.set_extension(q.EXTENSION_FEATURE_NAMES, default_feature_names())
        try:
            header.serialize()
        except BlockError:
            header.set_extension(q.EXTENSION_FEATURE_NAMES, None)
        await self._write_header()
        self._refresh()

    async def _change_keys(self, secret: Callable[[str], bytes], *, force: bool) -> None:
        from varan.block.formats.qcow2.encryption import luks_area

        given = dict(self.encrypt)
        present = self.node.options.driver_options.get("encrypt.key-secret")
        if present:
            given.setdefault("key-secret", present)
        area = luks_area(self.node.metadata.header, self.node.file)
        await keyslots.amend(area, given, secret, force=force)

    async def _set_lazy(self, lazy: bool) -> None:
        metadata = self.node.metadata
        if lazy and metadata.header.version < 3:
            raise BlockError(ErrorKind.UNSUPPORTED, "lazy refcounts want compatibility level 1.1")
        await metadata.finish()
        bit = q.COMPATIBLE_LAZY_REFCOUNTS
        metadata.header.compatible = metadata.header.compatible & ~bit | (bit if lazy else 0)
        metadata.lazy = lazy

    async def _set_refcount_bits(self) -> None:
        from varan.block.formats.qcow2.check import change_refcount_width

        metadata, bits = self.node.metadata, self.refcount_bits
        if metadata.header.version < 3:
            raise BlockError(ErrorKind.UNSUPPORTED, "refcounts of other than 16 bits want compatibility level 1.1")
        await metadata.finish()
        async with metadata.lock:
            await change_refcount_width(self.node.file, metadata.header, bits)
            metadata.geometry = metadata.header.geometry
            counts = metadata.refcounts
            counts.geometry, counts.per_block = metadata.geometry, metadata.geometry.refcounts_per_block
            size = metadata.geometry.cluster_size
            _, limit = cache_limits(self.node.options.driver_options, size)
            counts.cache = TableCache(metadata.file, RefcountCodec(bits), size, limit)
            await metadata.reload()

    async def _downgrade(self) -> None:
        metadata = self.node.metadata
        if metadata.header.snapshots:
            await _check_snapshots(self.node)
        await _expand_zeros(self.node)
        await metadata.finish()
        header = metadata.header
        header.version = 2
        header.header_length = q.HEADER_LENGTH_V2
        header.incompatible = header.compatible = header.autoclear = 0
        header.extra = b""
        header.set_extension(q.EXTENSION_FEATURE_NAMES, None)
        metadata.lazy = False
        await self._write_header()
        self._refresh()


async def _check_snapshots(node: Qcow2Node) -> None:
    """Version 2 snapshots have the image's size and no zero clusters. Raises BlockError (UNSUPPORTED)."""
    from varan.block.formats.qcow2 import snapshots

    metadata = node.metadata
    for snapshot in await snapshots.list_snapshots(node):
        if snapshot.disk_bytes(metadata.header.size) != metadata.header.size or snapshot.vm_state_size >= 1 << 32:
            message = f"snapshot '{snapshot.name}' is of another size: compatibility level 0.10 cannot say so"
            raise BlockError(ErrorKind.UNSUPPORTED, message)
        for entry in await metadata.read_table(snapshot.l1_offset, snapshot.l1_size):
            table = entry & q.OFFSET_MASK
            words = await metadata.read_table(table, metadata.geometry.l2_entries) if table else ()
            if any(word & q.ZERO and not word & q.COMPRESSED for word in words):
                message = f"snapshot '{snapshot.name}' has zero clusters, which compatibility level 0.10 has not"
                raise BlockError(ErrorKind.UNSUPPORTED, message)


async def _expand_zeros(node: Qcow2Node) -> None:
    """Replace zero clusters: by nothing where no backing file would show, else by written zeros."""
    from varan.block.formats.qcow2 import zeroing

    metadata: Metadata = node.metadata
    size = metadata.geometry.cluster_size
    at, end = 0, -(-node.length // size) * size
    while at < end:
        run = await metadata.run(at, end - at)
        if run.kind is Kind.ZERO and metadata.header.backing_file is None:
            await zeroing.drop(node, at, at + run.length, hide_backing=False)
        elif run.kind is Kind.ZERO:
            for piece in range(at, at + run.length, _PIECE):
                await node.writer.write(piece, zeros(min(_PIECE, at + run.length - piece)))
        at += run.length
    await metadata.commit()


async def amend(
    node: Qcow2Node,
    options: Mapping[str, str],
    *,
    secret: Callable[[str], bytes] = no_secrets,
    force: bool = False,
) -> None:
    """Change `options` (see AMEND_OPTIONS) of an image that is open for writing; `force` lets the last key be erased.

    Everything is checked first; what is changed then is changed one by one, each safely. Raises BlockError.
    """
    if node.read_only:
        raise BlockError(ErrorKind.READ_ONLY, "the image is open read-only", where=node.filename)
    node.metadata.check_writable()
    await Amendment(node, options).run(secret, force=force)

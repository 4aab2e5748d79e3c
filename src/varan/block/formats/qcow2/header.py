"""The qcow2 header: parsed with every field checked, and serialized again with nothing lost.

Extensions that Varan does not know are kept as they are. Sizes are bounded here, before anything is allocated from
them; what cannot be judged without the file (do the tables lie inside it?) is for `metadata` and `check`.
"""

from __future__ import annotations

import struct

from varan.block.base import BlockError, ErrorKind
from varan.block.formats.qcow2 import layout as q
from varan.light import field, record

_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3 = struct.Struct(">QQQII")
_EXTENSION = struct.Struct(">II")

FEATURE_NAMES: tuple[tuple[int, int, str], ...] = (
    (0, 0, "dirty bit"),
    (0, 1, "corrupt bit"),
    (0, 2, "external data file"),
    (0, 3, "compression type"),
    (0, 4, "extended L2 entries"),
    (1, 0, "lazy refcounts"),
    (2, 0, "bitmaps"),
    (2, 1, "raw external data"),
)
"""(kind: 0 incompatible, 1 compatible, 2 autoclear; bit; name), as new images carry it."""


class HeaderError(BlockError):
    """A header field that is wrong (CORRUPT) or of a format not known here (UNSUPPORTED). `field` names it."""

    def __init__(self, field: str, message: str, kind: ErrorKind = ErrorKind.CORRUPT) -> None:
        self.field = field
        super().__init__(kind, f"qcow2 header: {field}: {message}")


@record(slots=True)
class Extension:
    """A header extension as it stands on disk, without its padding."""

    kind: int
    data: bytes


@record(slots=True)
class Header:
    """All fields of a header. Offsets are in the file; sizes in the units that the format has."""

    version: int = 3
    cluster_bits: int = 16
    size: int = 0
    """Guest bytes."""
    backing_file: str | None = None
    crypt_method: int = q.CRYPT_NONE
    l1_size: int = 0
    l1_table_offset: int = 0
    refcount_table_offset: int = 0
    refcount_table_clusters: int = 0
    snapshots: int = 0
    snapshots_offset: int = 0
    incompatible: int = 0
    compatible: int = 0
    autoclear: int = 0
    refcount_order: int = 4
    header_length: int = q.HEADER_LENGTH
    compression_type: int = q.COMPRESSION_ZLIB
    extra: bytes = bytes(q.HEADER_LENGTH - q.HEADER_LENGTH_V3 - 1)
    """Header bytes past the fields known here."""
    extensions: list[Extension] = field(default_factory=list)

    @property
    def geometry(self) -> q.Geometry:
        """Of the image's tables."""
        return q.Geometry(self.cluster_bits, 1 << self.refcount_order, self.extended_l2)

    @property
    def cluster_size(self) -> int:
        """Bytes."""
        return 1 << self.cluster_bits

    @property
    def extended_l2(self) -> bool:
        """L2 entries have subclusters."""
        return bool(self.incompatible & q.INCOMPATIBLE_EXTENDED_L2)

    @property
    def has_data_file(self) -> bool:
        """Guest data lie in another file."""
        return bool(self.incompatible & q.INCOMPATIBLE_DATA_FILE)

    @property
    def data_file_raw(self) -> bool:
        """The data file is a valid raw image by itself."""
        return self.has_data_file and bool(self.autoclear & q.AUTOCLEAR_DATA_FILE_RAW)

    @property
    def lazy_refcounts(self) -> bool:
        """Refcounts may be written late, with the dirty bit set meanwhile."""
        return bool(self.compatible & q.COMPATIBLE_LAZY_REFCOUNTS)

    @property
    def backing_format(self) -> str | None:
        """The backing file's driver, where the image says it."""
        return self._text(q.EXTENSION_BACKING_FORMAT)

    @backing_format.setter
    def backing_format(self, name: str | None) -> None:
        self.set_extension(q.EXTENSION_BACKING_FORMAT, name.encode() if name else None)

    @property
    def data_file(self) -> str | None:
        """The external data file's name."""
        return self._text(q.EXTENSION_DATA_FILE)

    @data_file.setter
    def data_file(self, name: str | None) -> None:
        self.set_extension(q.EXTENSION_DATA_FILE, name.encode() if name else None)

    def extension(self, kind: int) -> bytes | None:
        """The data of the first extension of `kind`."""
        return next((found.data for found in self.extensions if found.kind == kind), None)

    def set_extension(self, kind: int, data: bytes | None) -> None:
        """Replace, add or (None) remove the extension of `kind`."""
        for index, found in enumerate(self.extensions):
            if found.kind == kind:
                if data is None:
                    del self.extensions[index]
                else:
                    self.extensions[index] = Extension(kind, data)
                return
        if data is not None:
            self.extensions.append(Extension(kind, data))

    def _text(self, kind: int) -> str | None:
        data = self.extension(kind)
        return None if data is None else data.decode(errors="surrogateescape")

    def serialize(self) -> bytes:
        """The header with extensions and backing file name. Raises NO_SPACE when a cluster is too small for it.

        The names of feature bits only serve messages: where space is short they are left out.
        """
        data = self._serialize(self.extensions)
        if len(data) > self.cluster_size:
            needed = [extension for extension in self.extensions if extension.kind != q.EXTENSION_FEATURE_NAMES]
            data = self._serialize(needed)
        if len(data) > self.cluster_size:
            raise BlockError(ErrorKind.NO_SPACE, "the header does not fit in a cluster")
        return data

    def _serialize(self, extensions: list[Extension]) -> bytes:
        known = self.version >= 3
        length = max(self.header_length, q.HEADER_LENGTH_V3) if known else q.HEADER_LENGTH_V2
        tail = bytearray()
        for extension in extensions:
            tail += _EXTENSION.pack(extension.kind, len(extension.data)) + extension.data
            tail += bytes(-len(extension.data) % 8)
        tail += _EXTENSION.pack(q.EXTENSION_END, 0)
        name = b"" if self.backing_file is None else self.backing_file.encode(errors="surrogateescape")
        if len(name) > q.MAX_BACKING_NAME:
            raise BlockError(ErrorKind.INVALID, f"the backing file name is longer than {q.MAX_BACKING_NAME} bytes")
        name_at = length + len(tail) if self.backing_file is not None else 0
        data = bytearray(self._fields(name_at, len(name)))
        if known:
            features = (self.incompatible, self.compatible, self.autoclear)
            data += _V3.pack(*features, self.refcount_order, length)
            if length > q.HEADER_LENGTH_V3:
                data += bytes([self.compression_type]) + self.extra
            data += bytes(length - len(data))
        return bytes(data + tail + name)

    def _fields(self, name_at: int, name_length: int) -> bytes:
        return _V2.pack(
            q.MAGIC,
            self.version,
            name_at,
            name_length,
            self.cluster_bits,
            self.size,
            self.crypt_method,
            self.l1_size,
            self.l1_table_offset,
            self.refcount_table_offset,
            self.refcount_table_clusters,
            self.snapshots,
            self.snapshots_offset,
        )


def default_feature_names() -> bytes:
    """The feature name extension of new images."""
    return b"".join(struct.pack(">BB46s", kind, bit, name.encode()) for kind, bit, name in FEATURE_NAMES)


def parse_header(data: bytes) -> Header:
    """The header in `data`, the file's first cluster (or all of it that there is, at least 72 bytes).

    Raises HeaderError. Call with the first 2 MiB when the cluster size is not known yet: what lies past the first
    cluster is not looked at.
    """
    if len(data) < q.HEADER_LENGTH_V2 or data[:4] != q.MAGIC:
        raise HeaderError("magic", "this is no qcow2 image", ErrorKind.INVALID)
    _, version, name_at, name_length, cluster_bits, *rest = _V2.unpack_from(data)
    if version not in (2, 3):
        raise HeaderError("version", f"version {version} is not known", ErrorKind.UNSUPPORTED)
    if not q.MIN_CLUSTER_BITS <= cluster_bits <= q.MAX_CLUSTER_BITS:
        raise HeaderError("cluster_bits", f"2^{cluster_bits} bytes is not a cluster size", ErrorKind.UNSUPPORTED)
    header = Header(version, cluster_bits)
    (
        header.size,
        header.crypt_method,
        header.l1_size,
        header.l1_table_offset,
        header.refcount_table_offset,
        header.refcount_table_clusters,
        header.snapshots,
        header.snapshots_offset,
    ) = rest
    data = data[: header.cluster_size]
    _parse_version_3(header, data)
    end = name_at or len(data)
    if name_at:
        if name_length > q.MAX_BACKING_NAME:
            raise HeaderError("backing_file_size", f"{name_length} bytes is longer than {q.MAX_BACKING_NAME}")
        if name_at < header.header_length or name_at + name_length > len(data):
            raise HeaderError("backing_file_offset", "the backing file name lies outside the header cluster")
        header.backing_file = data[name_at : name_at + name_length].decode(errors="surrogateescape") or None
    header.extensions = _parse_extensions(data[:end], header.header_length)
    _check_features(header)
    _check_tables(header)
    return header


def _parse_version_3(header: Header, data: bytes) -> None:
    header.extra = b""
    if header.version == 2:
        header.header_length = q.HEADER_LENGTH_V2
        return
    if len(data) < q.HEADER_LENGTH_V3:
        raise HeaderError("header_length", "the file ends inside the header")
    (header.incompatible, header.compatible, header.autoclear, header.refcount_order, length) = _V3.unpack_from(
        data, 72
    )
    if not q.HEADER_LENGTH_V3 <= length <= len(data):
        raise HeaderError("header_length", f"{length} bytes is not between {q.HEADER_LENGTH_V3} and the cluster's end")
    if length % 8:
        raise HeaderError("header_length", f"{length} is not a multiple of 8")
    header.header_length = length
    if length > q.HEADER_LENGTH_V3:
        header.compression_type = data[q.HEADER_LENGTH_V3]
        header.extra = data[q.HEADER_LENGTH_V3 + 1 : length]


def _parse_extensions(data: bytes, at: int) -> list[Extension]:
    found: list[Extension] = []
    while at + _EXTENSION.size <= len(data):
        kind, length = _EXTENSION.unpack_from(data, at)
        at += _EXTENSION.size
        if kind == q.EXTENSION_END:
            break
        if length > len(data) - at:
            raise HeaderError("extensions", f"extension {kind:#x} of {length} bytes passes the end of the header")
        found.append(Extension(kind, data[at : at + length]))
        at += -(-length // 8) * 8
    return found


def _feature_name(header: Header, bit: int) -> str:
    table = header.extension(q.EXTENSION_FEATURE_NAMES) or b""
    for at in range(0, len(table) - 47, 48):
        if table[at] == 0 and table[at + 1] == bit:
            return table[at + 2 : at + 48].rstrip(b"\0").decode("ascii", "replace")
    return f"bit {bit}"


def _check_features(header: Header) -> None:
    unknown = header.incompatible & ~q.INCOMPATIBLE_KNOWN
    if unknown:
        names = [_feature_name(header, bit) for bit in range(64) if unknown >> bit & 1]
        raise HeaderError("incompatible_features", f"not known: {', '.join(names)}", ErrorKind.UNSUPPORTED)
    if header.refcount_order > 6:
        raise HeaderError("refcount_order", f"{header.refcount_order} is larger than 6 (64 bits)")
    if header.crypt_method > q.CRYPT_LUKS:
        raise HeaderError("crypt_method", f"method {header.crypt_method} is not known", ErrorKind.UNSUPPORTED)
    if header.compression_type not in q.COMPRESSION_NAMES:
        raise HeaderError("compression_type", f"type {header.compression_type} is not known", ErrorKind.UNSUPPORTED)
    typed = bool(header.incompatible & q.INCOMPATIBLE_COMPRESSION)
    if typed != (header.compression_type != q.COMPRESSION_ZLIB):
        raise HeaderError("compression_type", "contradicts the incompatible feature bit")
    if header.extended_l2 and header.cluster_bits < 14:
        raise HeaderError("cluster_bits", "extended L2 entries want clusters of at least 16 KiB", ErrorKind.UNSUPPORTED)
    crypto = header.extension(q.EXTENSION_CRYPTO)
    if header.crypt_method == q.CRYPT_LUKS and (crypto is None or len(crypto) != 16):
        raise HeaderError("extensions", "a LUKS image wants a crypto header extension of 16 bytes")


def _check_table(name: str, header: Header, offset: int, size: int, limit: int) -> None:
    if size > limit:
        raise HeaderError(name, f"{size} bytes is more than the {limit} allowed")
    if size and (offset % header.cluster_size or not offset):
        raise HeaderError(name, f"its offset {offset:#x} is not that of a cluster")
    if offset + size > q.MAX_IMAGE_BYTES:
        raise HeaderError(name, "it ends past the largest file offset")


def _check_tables(header: Header) -> None:
    if header.size > q.MAX_IMAGE_BYTES:
        raise HeaderError("size", f"{header.size} bytes is too large")
    table = header.refcount_table_clusters * header.cluster_size
    if not table:
        raise HeaderError("refcount_table_clusters", "there is no refcount table")
    _check_table("refcount_table", header, header.refcount_table_offset, table, q.MAX_REFCOUNT_TABLE_BYTES)
    _check_table("l1_table", header, header.l1_table_offset, header.l1_size * 8, q.MAX_L1_BYTES)
    if header.l1_size < header.geometry.l1_entries(header.size):
        raise HeaderError("l1_size", f"{header.l1_size} entries are too few for {header.size} bytes")
    if header.snapshots > q.MAX_SNAPSHOTS:
        raise HeaderError("nb_snapshots", f"{header.snapshots} is more than the {q.MAX_SNAPSHOTS} allowed")
    smallest = header.snapshots * 40
    _check_table("snapshots", header, header.snapshots_offset, smallest, q.MAX_SNAPSHOT_TABLE_BYTES)

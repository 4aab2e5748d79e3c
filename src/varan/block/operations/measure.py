"""How many bytes an image would take when its content is written to a new image of some format."""

from __future__ import annotations

from varan.block.base import BlockError, Data, ErrorKind, Node
from varan.block.operations.extents import ChainExtent, walk
from varan.light import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

SECTOR = 512
MAX_L1_BYTES = 32 << 20


@record(frozen=True, slots=True)
class Measurement:
    """Bytes of the file: with the content that there is, and with every byte written. `bitmaps`: None where there can
    be none."""

    required: int
    fully_allocated: int
    bitmaps: int | None = None


@record(frozen=True, slots=True)
class Qcow2Shape:
    """What the size of a qcow2 image's metadata follows from."""

    cluster_size: int = 65536
    refcount_bits: int = 16
    extended_l2: bool = False
    luks_header: int = 0
    """Bytes of the encryption header with its key slots; 0 without LUKS."""
    preallocated: bool = False
    supports_bitmaps: bool = True

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Qcow2Shape:
        """The shape that create options ask for; others are not looked at. Raises BlockError."""
        from varan.core.sizes import parse_size

        cluster_size = parse_size(options.get("cluster_size", "65536")) or 0
        if not 512 <= cluster_size <= 2 << 20 or cluster_size & (cluster_size - 1):
            raise BlockError(ErrorKind.INVALID, "Cluster size must be a power of two between 512 and 2048k")
        refcount_bits = parse_size(options.get("refcount_bits", "16")) or 0
        if not 1 <= refcount_bits <= 64 or refcount_bits & (refcount_bits - 1):
            raise BlockError(ErrorKind.INVALID, "Refcount width must be a power of two and may not exceed 64 bits")
        return cls(
            cluster_size,
            refcount_bits,
            options.get("extended_l2", "off") in ("on", "yes", "true"),
            _luks_header(options, "encrypt.") if options.get("encrypt.format") == "luks" else 0,
            options.get("preallocation", "off") in ("falloc", "full"),
            options.get("compat", "1.1") not in ("0.10", "v2"),
        )

    def full_size(self, virtual_size: int) -> int:
        """Bytes of an image of `virtual_size` with every cluster allocated. Raises BlockError when it is too large."""
        cluster, entry = self.cluster_size, 16 if self.extended_l2 else 8
        data = _round_up(virtual_size, cluster)
        l2_entries = _round_up(data // cluster, cluster // entry)
        l1_entries = _round_up(l2_entries * entry // cluster, cluster // 8)
        if l1_entries * 8 > MAX_L1_BYTES:
            raise BlockError(ErrorKind.INVALID, "The image size is too large (try using a larger cluster size)")
        tables = cluster + l2_entries * entry + l1_entries * 8
        header = _round_up(self.luks_header, cluster)
        return data + tables + self._refcounts((tables + data) // cluster) + header

    def _refcounts(self, clusters: int) -> int:
        """Bytes of the refcount structures that count `clusters` and themselves."""
        per_block = self.cluster_size * 8 // self.refcount_bits
        table = blocks = total = 0
        while True:
            last = total
            blocks = -(-(clusters + table + blocks) // per_block)
            table = -(-blocks * 8 // self.cluster_size)
            total = clusters + blocks + table
            if total == last:
                return (blocks + table) * self.cluster_size

    def bitmaps_size(self, length: int, bitmaps: Mapping[str, int]) -> int:
        """Bytes of dirty bitmaps (granularity by name) of an image of `length` bytes."""
        total = directory = 0
        for name, granularity in bitmaps.items():
            size = _round_up(_round_up(length, granularity) // granularity, 8) // 8
            clusters = -(-size // self.cluster_size)
            total += clusters * self.cluster_size + _round_up(clusters * 8, self.cluster_size)
            directory += _round_up(24 + len(name.encode()), 8)
        return total + _round_up(directory, self.cluster_size)


def measure_size(format: str, size: int, options: Mapping[str, str]) -> Measurement:
    """For an image of `size` bytes without content. Raises BlockError."""
    if format == "qcow2":
        shape = Qcow2Shape.from_options(options)
        virtual = _round_up(size, SECTOR)
        full = shape.full_size(virtual)
        return Measurement(full if shape.preallocated else full - _round_up(virtual, shape.cluster_size), full)
    return _plain(format, size, options)


async def measure_node(format: str, node: Node, options: Mapping[str, str]) -> Measurement:
    """For what `node` shows. Raises BlockError."""
    if format != "qcow2":
        return _plain(format, node.length, options)
    shape = Qcow2Shape.from_options(options)
    full = shape.full_size(node.length)
    if shape.preallocated:
        return Measurement(full, full, await _bitmaps(node, shape))
    required = full - _round_up(node.length, shape.cluster_size)
    required += await _data_bytes(walk(node, 0, node.length), shape.cluster_size)
    return Measurement(required, full, await _bitmaps(node, shape))


async def _bitmaps(node: Node, shape: Qcow2Shape) -> int | None:
    """Bytes that the source's persistent bitmaps would take; None where there can be none."""
    if node.driver != "qcow2" or not shape.supports_bitmaps:
        return None
    from varan.block.operations.qcow2_info import bitmap_infos
    from varan.block.operations.qcow2_node import qcow2

    image = qcow2(node, "bitmaps")
    if image.metadata.header.version < 3:
        return None
    infos = await bitmap_infos(image)
    return shape.bitmaps_size(node.length, {info["name"]: info["granularity"] for info in infos})


async def _data_bytes(extents: AsyncIterator[ChainExtent], cluster: int) -> int:
    """Bytes of the clusters that hold data."""
    count, counted_to = 0, 0
    async for extent in extents:
        if extent.flags & Data.ZERO or not extent.flags & Data.DATA:
            continue
        first = max(extent.start // cluster * cluster, counted_to)
        last = _round_up(extent.start + extent.length, cluster)
        if last > first:
            count += last - first
            counted_to = last
    return count


def _plain(format: str, size: int, options: Mapping[str, str]) -> Measurement:
    if format not in ("raw", "luks"):
        raise BlockError(ErrorKind.UNSUPPORTED, f"Format driver '{format}' does not support size measurement")
    size = _round_up(size, SECTOR) + (_luks_header(options) if format == "luks" else 0)
    return Measurement(size, size)


def _luks_header(options: Mapping[str, str], prefix: str = "") -> int:
    """Bytes of the LUKS header that create options ask for. Raises BlockError."""
    from varan.block.crypto.keyslots import header_from

    given = {name.removeprefix(prefix): value for name, value in options.items() if name.startswith(prefix)}
    return header_from(given).payload_offset * SECTOR


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step

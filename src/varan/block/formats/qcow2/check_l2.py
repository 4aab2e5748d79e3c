"""What one L2 table says, and what is wrong with it: whole tables at once, no I/O."""

from __future__ import annotations

from varan.block.formats.qcow2 import layout as q
from varan.light import TYPE_CHECKING, Enum, field, record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]
    Clusters = NDArray[np.int64]


class Fault(Enum):
    """What can be wrong with an L2 entry; the value says it to users."""

    RESERVED = "reserved bits are set"
    COPIED_COMPRESSED = "a compressed cluster is flagged as copied"
    COMPRESSED_DATA_FILE = "a compressed cluster in an image with an external data file"
    COMPRESSED_BITMAP = "a compressed cluster with a subcluster bitmap"
    SUBCLUSTERS = "subclusters are both allocated and zero"
    UNALLOCATED_SUBCLUSTERS = "subclusters are allocated in a cluster that is not"
    UNALIGNED = "the data cluster is not aligned"
    UNALIGNED_PREALLOCATED = "the preallocated cluster is not aligned"
    OUTSIDE = "the cluster lies past the end of the file"


@record(slots=True)
class TableScan:
    """The result. Cluster numbers are host clusters to be counted once each."""

    clusters: Clusters
    copied: NDArray[np.bool_]
    """Which of `clusters` are flagged as referenced once."""
    indexes: Clusters
    """The entry that each of `clusters` is in."""
    allocated: int = 0
    compressed: int = 0
    fragmented: int = 0
    compressed_runs: list[Clusters] = field(default_factory=list)
    """Clusters that compressed data lie in; each array holds distinct parts of the data."""
    faults: list[tuple[Fault, Clusters]] = field(default_factory=list)
    """Faults with the entries that have them."""


@record(frozen=True, slots=True)
class Rules:
    """What the scan has to know of the image."""

    geometry: q.Geometry
    data_file: bool
    file_length: int


def scan(words: Words, rules: Rules) -> TableScan:
    """Judge a table (64-bit words in host order, bitmaps interleaved when entries are extended)."""
    import numpy as np

    u64 = np.uint64
    geometry = rules.geometry
    entries = words[:: geometry.words_per_entry]
    offsets = entries & u64(q.OFFSET_MASK)
    is_compressed = (entries & u64(q.COMPRESSED)) != 0
    copied = (entries & u64(q.COPIED)) != 0
    standard = ~is_compressed & (offsets != 0)
    if rules.data_file:
        standard |= ~is_compressed & copied
    faults: list[tuple[Fault, Clusters]] = []
    _note(faults, Fault.RESERVED, ~is_compressed & ((entries & u64(q.L2_RESERVED)) != 0))
    unaligned = standard & ((offsets & u64(geometry.cluster_size - 1)) != 0)
    with_data = (entries & u64(q.ZERO)) == 0
    if geometry.extended_l2:
        bitmaps = words[1::2]
        allocated = bitmaps & u64(q.ALL_SUBCLUSTERS)
        with_data = allocated != 0
        _note(faults, Fault.SUBCLUSTERS, standard & ((allocated & (bitmaps >> u64(32))) != 0))
        _note(faults, Fault.UNALLOCATED_SUBCLUSTERS, ~is_compressed & ~standard & with_data)
        _note(faults, Fault.COMPRESSED_BITMAP, is_compressed & (bitmaps != 0))
    if unaligned.any():
        _note(faults, Fault.UNALIGNED, unaligned & with_data)
        _note(faults, Fault.UNALIGNED_PREALLOCATED, unaligned & ~with_data)
    if not rules.data_file:
        outside = standard & (offsets >= u64(rules.file_length))
        _note(faults, Fault.OUTSIDE, outside & ~unaligned)
        counted = standard & ~outside & ~unaligned
    else:
        counted = standard & ~unaligned
    indexes = np.flatnonzero(counted)
    result = TableScan((offsets[indexes] >> u64(geometry.cluster_bits)).astype(np.int64), copied[indexes], indexes)
    result.faults = faults
    ordered = offsets[standard].astype(np.int64)
    result.allocated = len(ordered)
    result.fragmented = int(np.count_nonzero(np.diff(ordered) != geometry.cluster_size))
    if is_compressed.any():
        _scan_compressed(result, np.flatnonzero(is_compressed), entries, rules)
    return result


def _note(faults: list[tuple[Fault, Clusters]], fault: Fault, where: NDArray[np.bool_]) -> None:
    import numpy as np

    found = np.flatnonzero(where)
    if found.size:
        faults.append((fault, found))


def _scan_compressed(result: TableScan, indexes: Clusters, entries: Words, rules: Rules) -> None:
    import numpy as np

    geometry = rules.geometry
    flagged = indexes[(entries[indexes] & np.uint64(q.COPIED)) != 0]
    if flagged.size:
        result.faults.append((Fault.COPIED_COMPRESSED, flagged))
    if rules.data_file:
        result.faults.append((Fault.COMPRESSED_DATA_FILE, indexes))
        return
    result.compressed = len(indexes)
    result.allocated += len(indexes)
    result.fragmented += len(indexes)
    shift = 62 - (geometry.cluster_bits - 8)
    offsets = (entries[indexes] & np.uint64((1 << shift) - 1)).astype(np.int64)
    sectors = (entries[indexes] >> np.uint64(shift)).astype(np.int64) & ((1 << (geometry.cluster_bits - 8)) - 1)
    ends = (offsets & -q.SECTOR) + (sectors + 1) * q.SECTOR
    outside = (offsets >= rules.file_length) | (ends - rules.file_length >= geometry.cluster_size)
    if outside.any():
        result.faults.append((Fault.OUTSIDE, indexes[outside]))
    first = offsets[~outside] >> geometry.cluster_bits
    last = (ends[~outside] - 1) >> geometry.cluster_bits
    while first.size:
        result.compressed_runs.append(first)
        more = first < last
        first, last = first[more] + 1, last[more]

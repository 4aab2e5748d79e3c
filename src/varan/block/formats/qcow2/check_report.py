"""What a check finds, and what its parts share while they look."""

from __future__ import annotations

from varan.block.base import Node
from varan.block.formats.qcow2.buffers import read_padded
from varan.block.formats.qcow2.check_counts import ReferenceCounts
from varan.block.formats.qcow2.header import Header
from varan.light import IntFlag, field, record

MAX_MESSAGES = 10_000
"""Findings reported one by one; all are counted."""


class Fix(IntFlag):
    """What a check repairs."""

    NONE = 0
    LEAKS = 1
    """Clusters that are counted and unused are freed."""
    ERRORS = 2
    ALL = 3


@record(slots=True)
class CheckReport:
    """The result of a check. Counts of findings that were not repaired, of those that were, and of clusters."""

    corruptions: int = 0
    leaks: int = 0
    check_errors: int = 0
    corruptions_fixed: int = 0
    leaks_fixed: int = 0
    image_end_offset: int = 0
    """Bytes: the end of the last cluster in use."""
    total_clusters: int = 0
    allocated_clusters: int = 0
    fragmented_clusters: int = 0
    compressed_clusters: int = 0
    messages: list[str] = field(default_factory=list)
    omitted: int = 0
    """Findings that are counted but have no message."""

    def say(self, message: str) -> None:
        """Keep a message, within bounds."""
        if len(self.messages) < MAX_MESSAGES:
            self.messages.append(message)
        else:
            self.omitted += 1

    def corruption(self, message: str, count: int = 1) -> None:
        """Something contradicts itself, and stays so."""
        self.corruptions += count
        self.say(f"ERROR {message}")

    def failure(self, message: str) -> None:
        """Something could not be checked."""
        self.check_errors += 1
        self.say(f"ERROR {message}")

    def repaired(self, message: str) -> None:
        """A corruption that is no more."""
        self.corruptions_fixed += 1
        self.say(f"Repairing {message}")

    def as_dict(self) -> dict[str, int]:
        """The counts by their names in machine-readable output; zeros are left out where they mean nothing."""
        values = {
            "image-end-offset": self.image_end_offset,
            "total-clusters": self.total_clusters,
            "allocated-clusters": self.allocated_clusters,
            "fragmented-clusters": self.fragmented_clusters,
            "compressed-clusters": self.compressed_clusters,
            "leaks": self.leaks,
            "corruptions": self.corruptions,
            "leaks-fixed": self.leaks_fixed,
            "corruptions-fixed": self.corruptions_fixed,
        }
        return {name: value for name, value in values.items() if value} | {"check-errors": self.check_errors}


class Image:
    """The image under examination: its file, header and findings, and the references counted so far."""

    def __init__(self, file: Node, header: Header, fix: Fix) -> None:
        self.file = file
        self.header = header
        self.geometry = header.geometry
        self.fix = fix
        self.report = CheckReport()
        self.references = ReferenceCounts()
        self.length = file.length
        self.rebuild = False
        """The refcount structures cannot be mended in place."""

    @property
    def clusters(self) -> int:
        """Clusters of the file, the last perhaps in part."""
        return self.geometry.clusters(self.length)

    async def read(self, offset: int, length: int) -> bytearray:
        """Bytes of the file; zeros past its end. The caller bounds `length`."""
        data = bytearray(length)
        await read_padded(self.file, offset, [memoryview(data)])
        return data

    async def write(self, offset: int, data: bytes | bytearray) -> None:
        """Write bytes of the file."""
        await self.file.write(offset, [memoryview(data)])

    def inside(self, offset: int, length: int) -> bool:
        """Whether a range lies in the file; its last cluster may be there only in part."""
        return offset + length - self.length < self.geometry.cluster_size and offset < max(self.length, 1)

    def count(self, what: str, offset: int, length: int, weight: int = 1) -> bool:
        """Count a reference to each cluster of a range, or report that it lies outside of the file."""
        if not length:
            return True
        if not self.inside(offset, length):
            self.report.corruption(f"{what} lies past the end of the file: offset 0x{offset:x} size 0x{length:x}")
            return False
        bits = self.geometry.cluster_bits
        first = offset >> bits
        self.references.add_range(first, (offset + length - 1 >> bits) - first + 1, weight)
        return True

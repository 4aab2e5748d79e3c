"""Where runs that a guest may move meet the fixed address spaces.

A guest can put a BAR on top of RAM, of another device or of another BAR. What the board has fixed wins; among movable
runs the one of lower rank wins, so that the outcome depends on where things are and not on who came first. What is
covered shows again when the cover goes.
"""

from __future__ import annotations

from collections.abc import Iterator

from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace, Read, Write

Rank = tuple[int, ...]
PORT_WIDTH = 4


class Claim:
    """A run of addresses that a device would answer: `start` to `end - 1`, which is `offset` for its handlers."""

    __slots__ = ("end", "io", "name", "offset", "pieces", "rank", "read", "start", "write")

    def __init__(
        self,
        io: bool,
        start: int,
        end: int,
        read: Read,
        write: Write,
        *,
        name: str,
        rank: Rank = (),
        offset: int = 0,
    ) -> None:
        self.io = io
        self.start = start
        self.end = end
        self.read = read
        self.write = write
        self.name = name
        self.rank = rank
        self.offset = offset
        self.pieces: list[int] = []
        """First addresses of the parts that are mapped."""

    def overlaps(self, other: Claim) -> bool:
        """Whether both want an address."""
        return self.io == other.io and self.start < other.end and other.start < self.end


class Mapper:
    """Keeps claims mapped as far as there is room. The caller holds the machine lock."""

    def __init__(self, memory: MemorySpace, ports: PortSpace) -> None:
        self._memory = memory
        self._ports = ports
        self._claims: list[Claim] = []

    def add(self, claim: Claim) -> None:
        """Map `claim` where nothing of higher standing is."""
        rivals = self._rivals(claim)
        self._claims.append(claim)
        self._settle([claim, *rivals])

    def remove(self, claim: Claim) -> None:
        """Take `claim` back."""
        self._claims.remove(claim)
        self._withdraw(claim)
        self._settle(self._rivals(claim))

    def _rivals(self, claim: Claim) -> list[Claim]:
        return [other for other in self._claims if other.overlaps(claim)]

    def _settle(self, claims: list[Claim]) -> None:
        for claim in claims:
            self._withdraw(claim)
        for claim in sorted(claims, key=lambda claim: claim.rank):
            for start, end in self._free(claim):
                self._map(claim, start, end)

    def _withdraw(self, claim: Claim) -> None:
        for start in claim.pieces:
            if claim.io:
                self._ports.unmap(start)
            else:
                self._memory.unmap(start)
        claim.pieces = []

    def _map(self, claim: Claim, start: int, end: int) -> None:
        read, write = claim.read, claim.write
        skipped = claim.offset + start - claim.start
        if skipped:
            read, write = _shifted(read, write, skipped)
        if claim.io:
            self._ports.map(start, end - start, read, write, width=PORT_WIDTH, name=claim.name)
        else:
            self._memory.map_mmio(start, end - start, read, write, name=claim.name)
        claim.pieces.append(start)

    def _free(self, claim: Claim) -> list[tuple[int, int]]:
        """The runs of the claim that nobody has."""
        found = []
        at = claim.start
        for start, end in self._taken(claim.io):
            if end <= at:
                continue
            if start >= claim.end:
                break
            if start > at:
                found.append((at, start))
            at = end
        if at < claim.end:
            found.append((at, claim.end))
        return found

    def _taken(self, io: bool) -> Iterator[tuple[int, int]]:
        if io:
            return ((mapped.base, mapped.base + mapped.length) for mapped in self._ports)
        return ((region.start, region.end) for region in self._memory)


def _shifted(read: Read, write: Write, by: int) -> tuple[Read, Write]:
    """The handlers for accesses whose offsets lack `by` bytes."""
    return (lambda offset, size: read(offset + by, size), lambda offset, size, value: write(offset + by, size, value))

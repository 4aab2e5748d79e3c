"""What a disk may hold after the power went, from what its writer said."""

from __future__ import annotations

from dataclasses import dataclass, field

SECTOR = 512


@dataclass
class Expected:
    """What each sector may have: what was flushed last, or what was begun since."""

    content: bytearray
    pending: list[tuple[int, int, int]] = field(default_factory=list)
    image: str = ""
    """Which image was flushed last, where the writer says so."""

    def hear(self, line: str) -> None:
        """Take note of what a writer says: "write OFFSET LENGTH VALUE" before it writes, "flushed [IMAGE]" after."""
        words = line.split()
        if words[0] == "write":
            offset, length, value = map(int, words[1:])
            self.pending.append((offset, length, value))
        elif words[0] == "flushed":
            for offset, length, value in self.pending:
                self.content[offset : offset + length] = bytes([value]) * length
            self.pending.clear()
            self.image = words[1] if len(words) > 1 else self.image

    def assert_allows(self, found: bytes) -> None:
        """Every sector has something it may have."""
        assert len(found) == len(self.content)
        for at in range(0, len(found), SECTOR):
            sector = found[at : at + SECTOR]
            if sector == self.content[at : at + SECTOR]:
                continue
            values = [value for offset, length, value in self.pending if offset <= at < offset + length]
            assert any(sector == bytes([value]) * SECTOR for value in values), f"sector at {at}: {sector[:16]!r}"

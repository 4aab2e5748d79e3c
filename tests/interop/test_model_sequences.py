"""Random sequences of operations on an image and on a model in memory: they show the same, and QEMU finds no fault."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.support.image_tools import Tools, qemu, varan

from varan.block import blocking
from varan.block.blocking import BlockingImage

pytestmark = pytest.mark.interop

LAYOUTS = {
    "clusters of 1k": "cluster_size=1k",
    "clusters of 4k, 1-bit counts": "cluster_size=4k,refcount_bits=1",
    "clusters of 4k": "cluster_size=4k,refcount_bits=64",
    "defaults": "cluster_size=64k",
    "subclusters": "cluster_size=16k,extended_l2=on",
    "lazy counts": "cluster_size=4k,lazy_refcounts=on",
    "version 2": "cluster_size=4k,compat=0.10",
    "zstd": "cluster_size=4k,compression_type=zstd",
}
SECTOR = 512
MAX_SECTORS = 1200
EXAMPLES = int(os.environ.get("VARAN_SEQUENCES", "25"))
places = st.integers(0, MAX_SECTORS)
lengths = st.one_of(st.integers(1, 3), st.integers(1, 300))
GRANULARITY = 512


class Sequences(RuleBasedStateMachine):
    """The image `top` over `base`, over nothing; operations through the library or through the tools."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="sequences-"))
        self.tools: Tools = varan()
        self.qemu = qemu()
        self.image: BlockingImage | None = None
        self.snapshots: dict[str, bytes] = {}
        self.bitmaps: dict[str, set[int]] = {}
        self.version = 3
        self.bases = 0

    @initialize(layout=st.sampled_from(sorted(LAYOUTS)), sectors=st.integers(1, MAX_SECTORS), with_base=st.booleans())
    def begin(self, layout: str, sectors: int, with_base: bool) -> None:
        """Make the image."""
        self.options = LAYOUTS[layout]
        self.version = 2 if "0.10" in self.options else 3
        self.one_bit = "refcount_bits=1" in self.options
        self.top = str(self.directory / "top.qcow2")
        self.content = bytearray(sectors * SECTOR)
        words = ["create", "-q", "-f", "qcow2", "-o", self.options]
        self.base: str | None = None
        if with_base:
            self.base = self.new_base(min(sectors, 400), 7)
            self.content[: min(sectors, 400) * SECTOR] = Path(self.base).read_bytes()
            words += ["-b", self.base, "-F", "raw"]
        self.tools.img(*words, self.top, str(len(self.content)))

    def new_base(self, sectors: int, value: int) -> str:
        self.bases += 1
        path = self.directory / f"base{self.bases}.raw"
        path.write_bytes(b"".join(bytes([value, at % 251]) * (SECTOR // 2) for at in range(sectors)))
        return str(path)

    def opened(self) -> BlockingImage:
        if self.image is None:
            self.image = blocking.open(self.top, format="qcow2", discard=True)
        return self.image

    def closed(self) -> str:
        if self.image is not None:
            self.image.close()
            self.image = None
        return self.top

    def span(self, place: int, length: int) -> tuple[int, int]:
        start = place * SECTOR % len(self.content)
        return start, min(length * SECTOR, len(self.content) - start)

    def touched(self, start: int, length: int) -> None:
        for dirty in self.bitmaps.values():
            dirty.update(range(start // GRANULARITY, (start + length - 1) // GRANULARITY + 1))

    @rule(place=places, length=lengths, value=st.integers(1, 255))
    def write(self, place: int, length: int, value: int) -> None:
        start, size = self.span(place, length)
        data = bytes([value, value ^ 255]) * (size // 2)
        self.opened().write(start, data)
        self.content[start : start + size] = data
        self.touched(start, size)

    @rule(place=places, length=lengths, unmap=st.booleans())
    def zero(self, place: int, length: int, unmap: bool) -> None:
        start, size = self.span(place, length)
        self.opened().write_zeroes(start, size, unmap=unmap)
        self.content[start : start + size] = bytes(size)
        self.touched(start, size)

    @rule(place=places, length=lengths)
    def discard(self, place: int, length: int) -> None:
        """What is discarded may show anything of this image's or zeros; the model follows."""
        start, size = self.span(place, length)
        image = self.opened()
        image.discard(start, size)
        found = image.read(start, size)
        if self.base is None or self.version == 3:
            for at in range(0, size, SECTOR):
                sector = found[at : at + SECTOR]
                assert sector in (self.content[start + at : start + at + SECTOR], bytes(SECTOR))
        self.content[start : start + size] = found
        self.touched(start, size)

    @rule()
    def flush(self) -> None:
        self.opened().flush()

    @rule()
    def reopen(self) -> None:
        self.closed()

    @precondition(lambda self: not self.one_bit and len(self.snapshots) < 4)
    @rule()
    def snapshot(self) -> None:
        name = f"s{len(self.snapshots)}-{len(self.content)}-{self.bases}"
        if name not in self.snapshots:
            self.tools.img("snapshot", "-c", name, self.closed())
            self.snapshots[name] = bytes(self.content)

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def apply(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.snapshots)))
        self.tools.img("snapshot", "-a", name, self.closed())
        if len(self.snapshots[name]) == len(self.content):
            self.touched(0, len(self.content))
        else:
            self.forget_bitmaps()
        self.content = bytearray(self.snapshots[name])

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.snapshots)))
        self.tools.img("snapshot", "-d", name, self.closed())
        del self.snapshots[name]

    @precondition(lambda self: self.base is None and not (self.version == 2 and self.snapshots))
    @rule(sectors=st.integers(1, MAX_SECTORS))
    def resize(self, sectors: int) -> None:
        self.forget_bitmaps()
        self.tools.img("resize", "-q", "--shrink", "-f", "qcow2", self.closed(), str(sectors * SECTOR))
        size = sectors * SECTOR
        self.content = self.content[:size].ljust(size, b"\0")

    @precondition(lambda self: self.base is not None and not self.snapshots and not self.bitmaps)
    @rule()
    def commit(self) -> None:
        assert self.base is not None
        self.tools.img("commit", "-q", "-f", "qcow2", self.closed())
        assert Path(self.base).read_bytes()[: len(self.content)] == self.content

    @precondition(lambda self: not self.snapshots)
    @rule(sectors=st.integers(1, MAX_SECTORS), value=st.integers(0, 255), drop=st.booleans())
    def rebase(self, sectors: int, value: int, drop: bool) -> None:
        self.closed()
        self.base = None if drop else self.new_base(sectors, value)
        words = ["-b", ""] if self.base is None else ["-b", self.base, "-F", "raw"]
        self.tools.img("rebase", "-f", "qcow2", *words, self.top)

    @precondition(lambda self: self.version == 3 and len(self.bitmaps) < 3)
    @rule()
    def add_bitmap(self) -> None:
        name = f"b{len(self.bitmaps)}"
        self.tools.img("bitmap", "--add", "-g", str(GRANULARITY), "-f", "qcow2", self.closed(), name)
        self.bitmaps[name] = set()

    def forget_bitmaps(self) -> None:
        for name in self.bitmaps:
            self.tools.img("bitmap", "--remove", "-f", "qcow2", self.closed(), name)
        self.bitmaps.clear()

    @rule()
    def qemu_agrees(self) -> None:
        """Another implementation finds the same content, the same snapshots, and no fault."""
        found = self.directory / "found.raw"
        self.qemu.img("check", "-q", "-f", "qcow2", self.closed())
        self.qemu.img("convert", "-f", "qcow2", "-O", "raw", self.top, str(found))
        assert found.read_bytes() == self.content

    @invariant()
    def shows_the_model(self) -> None:
        if self.image is not None:
            assert self.image.length == len(self.content)
            assert self.image.read(0, len(self.content)) == self.content

    def teardown(self) -> None:
        """Look at everything once more, then clean up."""
        try:
            if hasattr(self, "top"):
                self.qemu_agrees()
                self.check_snapshots()
                self.check_bitmaps()
        finally:
            if self.image is not None:
                self.image.close()
            shutil.rmtree(self.directory)

    def check_snapshots(self) -> None:
        found = self.directory / "found.raw"
        for name, content in self.snapshots.items():
            self.qemu.img("convert", "-f", "qcow2", "-l", name, "-O", "raw", self.top, str(found))
            shown = found.read_bytes()
            # QEMU shows it in the image's present size; what lies behind the snapshot's own end nobody promises.
            assert shown[: len(content)] == content[: len(shown)]

    def check_bitmaps(self) -> None:
        infos = self.qemu.json("info", "-f", "qcow2", self.top)["format-specific"]["data"].get("bitmaps", [])
        assert {info["name"]: info["flags"] for info in infos} == {name: ["auto"] for name in self.bitmaps}


TestSequences = Sequences.TestCase
TestSequences.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=20,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)

"""The persistent dirty bitmaps of an open image: loaded, kept up to date, changed, and saved when it is closed.

While an image is open for writing its bitmaps are marked as in use in the file. Only a proper close takes the mark
away; a bitmap that carries it on opening missed writes, is inconsistent, and can only be removed.
"""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind
from varan.block.dirty import DEFAULT_GRANULARITY, DirtyBitmap
from varan.block.formats.qcow2 import bitmap_directory as directory
from varan.block.formats.qcow2 import bitmap_store as store
from varan.block.formats.qcow2.bitmap_directory import Entry
from varan.block.formats.qcow2.metadata import Metadata
from varan.block.formats.qcow2.tuning import Structure
from varan.block.recording import recorder_of
from varan.light import TYPE_CHECKING, record

if TYPE_CHECKING:
    from varan.block.formats.qcow2.node import Qcow2Node


@record(slots=True)
class Kept:
    """A bitmap: as the image has it (None: new), and in memory (None: not loaded, or not usable)."""

    entry: Entry | None
    bitmap: DirtyBitmap | None = None
    inconsistent: bool = False


class Bitmaps:
    """The bitmaps of one node, by name."""

    def __init__(self, node: Qcow2Node) -> None:
        self._node = node
        self._kept: dict[str, Kept] = {}
        self._changed = False
        self._tracking = False

    @property
    def _metadata(self) -> Metadata:
        return self._node.metadata

    @property
    def names(self) -> list[str]:
        """All bitmaps, in the image's order."""
        return list(self._kept)

    async def open(self) -> None:
        """Take over what the image has. For writing, everything is loaded and marked as in use. Raises BlockError."""
        for entry in await store.read_directory(self._metadata):
            self._kept[entry.name] = Kept(entry, inconsistent=entry.in_use)
        if self._node.read_only or not self._kept:
            return
        for kept in self._kept.values():
            assert kept.entry is not None
            if not kept.inconsistent and directory.usable(kept.entry):
                kept.bitmap = await store.load(self._metadata, kept.entry, self._node.length)
                recorder_of(self._node).add(kept.bitmap)
        await self.protect()
        await self._mark(in_use=True)
        self._track()

    async def protect(self) -> None:
        """Guard the bitmaps in the image against guest writes. Raises BlockError of kind CORRUPT."""
        size = self._metadata.header.cluster_size
        for entry in await store.read_directory(self._metadata):
            for first, count in await store.clusters_of(self._metadata, entry):
                self._metadata.guard.protect(first * size, count * size, Structure.BITMAP_DIRECTORY)
        extension = store.extension_of(self._metadata)
        if extension is not None:
            self._metadata.guard.protect(extension.offset, extension.size, Structure.BITMAP_DIRECTORY)

    def _track(self) -> None:
        """Save on closing."""
        if not self._tracking:
            self._tracking = True
            self._node.close_hooks.append(self.save)

    def leave(self) -> None:
        """The image is read anew: what is recorded from now on is not for these bitmaps."""
        for name in self._kept:
            recorder_of(self._node).drop(name)

    async def _mark(self, *, in_use: bool) -> None:
        entries = [kept.entry for kept in self._kept.values() if kept.entry is not None]
        for kept in self._kept.values():
            if kept.entry is not None and kept.bitmap is not None:
                flags = kept.entry.flags & ~directory.IN_USE
                kept.entry.flags = flags | (directory.IN_USE if in_use else 0)
        await store.rewrite_flags(self._metadata, entries)

    def _find(self, name: str) -> Kept:
        if name not in self._kept:
            raise BlockError(ErrorKind.NOT_FOUND, f"there is no bitmap '{name}'", where=self._node.filename)
        return self._kept[name]

    def _usable(self, name: str) -> DirtyBitmap:
        kept = self._find(name)
        if kept.inconsistent:
            raise BlockError(ErrorKind.INVALID, f"bitmap '{name}' is inconsistent: it can only be removed")
        if kept.bitmap is None:
            raise BlockError(ErrorKind.UNSUPPORTED, f"bitmap '{name}' is of an unknown kind")
        return kept.bitmap

    async def get(self, name: str) -> DirtyBitmap:
        """A bitmap's content. Raises BlockError when there is none of that name, or it cannot be relied on."""
        kept = self._find(name)
        loadable = kept.entry is not None and directory.usable(kept.entry) and not kept.inconsistent
        if self._node.read_only and kept.bitmap is None and kept.entry is not None and loadable:
            kept.bitmap = await store.load(self._metadata, kept.entry, self._node.length)
        return self._usable(name)

    def is_inconsistent(self, name: str) -> bool:
        """Whether a bitmap can only be removed."""
        return self._find(name).inconsistent

    def placeholder(self, name: str) -> DirtyBitmap:
        """What can be told of an inconsistent bitmap: everything but its content. Raises BlockError."""
        kept = self._find(name)
        assert kept.entry is not None
        bitmap = DirtyBitmap(name, self._node.length, 1 << kept.entry.granularity_bits)
        bitmap.enabled, bitmap.persistent, bitmap.inconsistent = False, True, True
        return bitmap

    def in_memory(self, name: str) -> DirtyBitmap | None:
        """A bitmap that follows the guest's writes; None when it cannot."""
        return self._find(name).bitmap

    def follows(self, name: str) -> bool:
        """Whether a bitmap is in memory, and so can be changed."""
        return self._find(name).bitmap is not None

    def add(self, name: str, granularity: int | None = None, *, enabled: bool = True) -> DirtyBitmap:
        """A new bitmap, all clean. Raises BlockError."""
        self._check_writable()
        if self._metadata.header.version < 3:
            raise BlockError(ErrorKind.UNSUPPORTED, "version 2 images cannot have bitmaps", where=self._node.filename)
        if name in self._kept:
            raise BlockError(ErrorKind.INVALID, f"there is a bitmap '{name}' already", where=self._node.filename)
        if not 0 < len(name.encode(errors="surrogateescape")) <= directory.MAX_NAME:
            raise BlockError(ErrorKind.INVALID, f"a bitmap's name has 1 to {directory.MAX_NAME} bytes")
        if len(self._kept) >= directory.MAX_BITMAPS:
            raise BlockError(ErrorKind.NO_SPACE, "the image has as many bitmaps as it can", where=self._node.filename)
        bitmap = DirtyBitmap(name, self._node.length, granularity or self._default_granularity())
        bitmap.enabled, bitmap.persistent = enabled, True
        self._kept[name] = Kept(None, bitmap)
        recorder_of(self._node).add(bitmap)
        self._changed = True
        self._track()
        return bitmap

    def _default_granularity(self) -> int:
        return min(max(self._metadata.header.cluster_size, 4096), DEFAULT_GRANULARITY)

    def _check_writable(self) -> None:
        if self._node.read_only:
            raise BlockError(ErrorKind.READ_ONLY, "the image is open read-only", where=self._node.filename)
        self._metadata.check_writable()

    async def remove(self, name: str) -> None:
        """Forget a bitmap, also an inconsistent one, here and in the image. Raises BlockError."""
        self._check_writable()
        kept = self._find(name)
        if kept.entry is not None:
            async with self._metadata.lock:
                dropped = await store.clusters_of(self._metadata, kept.entry)
                others = [each.entry for each in self._kept.values() if each is not kept and each.entry is not None]
                await store.replace_directory(self._metadata, others, dropped)
        del self._kept[name]
        recorder_of(self._node).drop(name)

    def clear(self, name: str) -> None:
        """Mark everything clean. Raises BlockError."""
        self._check_writable()
        self._usable(name).clear_all()

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Record writes, or do not. Raises BlockError."""
        self._check_writable()
        bitmap = self._usable(name)
        self._changed |= bitmap.enabled != enabled
        bitmap.enabled = enabled

    def merge(self, name: str, other: DirtyBitmap) -> None:
        """Mark dirty what is dirty in `other` (of this image or another one of the same size). Raises BlockError."""
        self._check_writable()
        self._usable(name).merge(other)

    async def save(self) -> None:
        """Write what has changed to the image and take the marks away. Called when it is closed. Raises BlockError."""
        async with self._metadata.lock:
            recorder_of(self._node).follow_size()
            if self._changed or any(each.bitmap is not None and each.bitmap.changed for each in self._kept.values()):
                await self._replace()
            else:
                await self._mark(in_use=False)

    async def _replace(self) -> None:
        dropped: list[tuple[int, int]] = []
        for kept in self._kept.values():
            bitmap, former = kept.bitmap, kept.entry
            if bitmap is None:
                continue
            if former is not None and not bitmap.changed:
                kept.entry = _with_flags(former, directory.AUTO if bitmap.enabled else 0)
                continue
            if former is not None:
                dropped = dropped + await store.clusters_of(self._metadata, former)
            kept.entry = await store.write(self._metadata, bitmap)
            if former is not None:
                kept.entry.extra, kept.entry.flags = former.extra, kept.entry.flags | former.flags & ~3
            bitmap.changed = False
        entries = [kept.entry for kept in self._kept.values() if kept.entry is not None]
        await store.replace_directory(self._metadata, entries, dropped)
        self._changed = False

    def describe(self) -> list[dict[str, object]]:
        """Qcow2BitmapInfo of each, as `info` shows them."""
        return [self._describe(name, kept) for name, kept in self._kept.items()]

    def _describe(self, name: str, kept: Kept) -> dict[str, object]:
        flags = []
        if kept.inconsistent or (kept.bitmap is not None and not self._node.read_only):
            flags.append("in-use")
        enabled = kept.bitmap.enabled if kept.bitmap is not None else kept.entry is not None and kept.entry.auto
        if enabled:
            flags.append("auto")
        granularity = kept.bitmap.granularity if kept.bitmap else 1 << kept.entry.granularity_bits if kept.entry else 0
        return {"flags": flags, "name": name, "granularity": granularity}


def _with_flags(entry: Entry, flags: int) -> Entry:
    entry.flags = entry.flags & ~(directory.IN_USE | directory.AUTO) | flags
    return entry


async def attach(node: Qcow2Node) -> None:
    """Open the image's bitmaps. Raises BlockError of kind CORRUPT; one that is being repaired has none then."""
    bitmaps = Bitmaps(node)
    try:
        await bitmaps.open()
    except BlockError as error:
        if error.kind is not ErrorKind.CORRUPT or not node.options.driver_options.get("repairing"):
            raise
        bitmaps = Bitmaps(node)
    node.bitmaps = bitmaps


def bitmaps_of(node: Qcow2Node) -> Bitmaps:
    """The bitmaps of a node; an empty set where the image has none."""
    if node.bitmaps is None:
        node.bitmaps = Bitmaps(node)
    return node.bitmaps


def resize_allowed(node: Qcow2Node, length: int) -> None:
    """Raises BlockError where bitmaps forbid another size: those that are not in memory cannot follow."""
    for name in bitmaps_of(node).names if length != node.length else ():
        if not bitmaps_of(node).follows(name):
            message = f"bitmap '{name}' cannot be resized with the image: remove it first"
            raise BlockError(ErrorKind.UNSUPPORTED, message, where=node.filename)

"""The qcow2 node: guest reads and writes over a file, an optional backing file and an optional external data file."""

from __future__ import annotations

from varan.block.base import (
    BlockError,
    Buffers,
    Data,
    Edge,
    ErrorKind,
    Extent,
    ImpliedChild,
    Limits,
    Node,
    OpenOptions,
    Permission,
    Write,
)
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2 import zeroing
from varan.block.formats.qcow2.buffers import clear, gather, part, read_padded, total
from varan.block.formats.qcow2.compression import Compression
from varan.block.formats.qcow2.header import Header
from varan.block.formats.qcow2.metadata import Metadata
from varan.block.formats.qcow2.runs import Kind, Run
from varan.block.formats.qcow2.writer import Writer
from varan.block.permissions import format_permissions
from varan.block.ranges import RangeLock
from varan.light import TYPE_CHECKING, Protocol, contextmanager, replace

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from varan.block.formats.qcow2.bitmaps import Bitmaps


class Cipher(Protocol):
    """Encrypts guest data in units of 512 bytes. Offsets are guest's (`by_guest_offset`) or in the data file."""

    by_guest_offset: bool

    @property
    def locked(self) -> bool:
        """Whether there is no key."""

    def decrypt(self, offset: int, view: memoryview) -> None:
        """In place."""

    def encrypt(self, offset: int, data: memoryview) -> bytes | memoryview:
        """A copy."""


class Qcow2Node(Node):
    """An open image. Made by `driver.Qcow2Driver.open`; usable when `children_ready` has run."""

    driver = "qcow2"

    def __init__(self, options: OpenOptions, header: Header, file: Node) -> None:
        super().__init__(options)
        self.header = header
        self.file = file
        self.data_file = file
        self.cipher: Cipher | None = None
        self._sectors = RangeLock()
        self.bitmaps: Bitmaps | None = None
        """None: the image had none when it was opened."""
        self.close_hooks: list[Callable[[], Awaitable[None]]] = []
        """Awaited when a writable node is closed, before its metadata are finished."""
        self.cleaning: asyncio.TimerHandle | None = None
        """Drops tables that nobody uses."""
        self.guarded = not header.has_data_file
        self.metadata = Metadata(header, file, file, options.driver_options)
        self.writer: Writer
        self.compression: Compression
        self._length = header.size & ~(q.SECTOR - 1)
        self._preallocated: bool | None = None

    @property
    def length(self) -> int:
        return self._length

    @property
    def filename(self) -> str:
        return self.file.filename

    @property
    def limits(self) -> Limits:
        geometry = self.metadata.geometry
        return Limits(
            request_alignment=q.SECTOR if self.cipher is not None else 1,
            zero_alignment=geometry.cluster_size,
            optimal_transfer=max(1 << 20, geometry.cluster_size),
        )

    @property
    def encrypted(self) -> bool:
        return self.cipher is not None

    @property
    def locked(self) -> bool:
        return self.cipher is not None and self.cipher.locked

    async def unlock(self, password: bytes) -> None:
        if self.cipher is None:
            await super().unlock(password)
            return
        from varan.block.formats.qcow2.encryption import open_with

        cipher = await open_with(self.header, self.file, password)
        if self.locked or self.cipher.by_guest_offset:
            self.cipher = cipher

    @property
    def backing(self) -> Node | None:
        """The backing file's node."""
        edge = self.children.get("backing")
        return edge.node if edge is not None else None

    def set_length(self, length: int) -> None:
        """The guest sees another size from now on."""
        self._length = length

    def implied_children(self) -> Sequence[ImpliedChild]:
        found = []
        header = self.metadata.header
        if header.has_data_file and header.data_file is not None:
            found.append(ImpliedChild("data-file", header.data_file))
        if header.backing_file is not None:
            found.append(ImpliedChild("backing", header.backing_file, header.backing_format))
        return found

    def child_permissions(self, role: str, wanted: Permission, shared: Permission) -> tuple[Permission, Permission]:
        return format_permissions(role, wanted, shared, read_only=self.read_only)

    async def children_ready(self) -> None:
        from varan.block.formats.qcow2.opening import prepare

        await prepare(self)

    # Reading.

    async def read(self, offset: int, buffers: Buffers) -> None:
        await self._read(offset, buffers, self.backing)

    async def _read(self, offset: int, buffers: Buffers, backing: Node | None) -> None:
        at, end = offset, offset + total(buffers)
        metadata = self.metadata
        while at < end:
            run = metadata.cached_run(at, end - at)
            if run is None or (run.length < end - at and run.kind is not Kind.COMPRESSED):
                run = await metadata.run(at, end - at)
            if run.kind is Kind.COMPRESSED:
                at += await self._read_compressed(run, at, part(buffers, at - offset, end - at))
                continue
            views = part(buffers, at - offset, run.length)
            if run.kind is Kind.DATA:
                await self._read_host(run, at, views)
            elif run.kind is Kind.ZERO or backing is None:
                clear(views)
            else:
                if self.file.listens:
                    await self.file.event("read_backing_aio")
                await read_padded(backing, at, views)
            at += run.length

    async def _read_compressed(self, run: Run, offset: int, buffers: Buffers) -> int:
        if self.metadata.header.has_data_file or self.cipher is not None:
            raise BlockError(
                ErrorKind.CORRUPT, "a compressed cluster in an image that cannot have one", where=self.filename
            )
        if self.file.listens:
            await self.file.event("read_compressed")
        return await self.compression.read(run.entry, offset, buffers)

    @contextmanager
    def holding(self, first: int, end: int) -> Iterator[None]:
        """I/O is under way in host clusters `first` to `end`: they are not used for anything else meanwhile."""
        key = object()
        self.metadata.busy[key] = (first, end)
        try:
            yield
        finally:
            del self.metadata.busy[key]

    async def _read_host(self, run: Run, offset: int, buffers: Buffers) -> None:
        bits = self.metadata.geometry.cluster_bits
        busy, key = self.metadata.busy, object()
        busy[key] = (run.host >> bits, (run.host + run.length - 1 >> bits) + 1)
        try:
            if self.file.listens:
                await self.file.event("read_aio")
            if self.cipher is None:
                await read_padded(self.data_file, run.host, buffers)
            else:
                await self._read_encrypted(self.cipher, run, offset, buffers)
        finally:
            del busy[key]

    async def _read_encrypted(self, cipher: Cipher, run: Run, offset: int, buffers: Buffers) -> None:
        before = run.host % q.SECTOR
        whole = memoryview(bytearray(-(-(before + run.length) // q.SECTOR) * q.SECTOR))
        await read_padded(self.data_file, run.host - before, [whole])
        cipher.decrypt((offset if cipher.by_guest_offset else run.host) - before, whole)
        at = before
        for view in buffers:
            view[:] = whole[at : at + len(view)]
            at += len(view)

    async def reads_zero(self, offset: int, length: int) -> bool:
        """Whether guest bytes are zeros by this image's metadata alone."""
        backing = self.backing
        end = offset + length
        while offset < end:
            run = await self.metadata.run(offset, end - offset)
            if run.kind is Kind.UNALLOCATED:
                if backing is not None and offset < backing.length:
                    return False
            elif run.kind is not Kind.ZERO:
                return False
            offset += run.length
        return True

    # Writing.

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        self.note_write(offset, total(buffers))
        if flags & Write.COMPRESSED:
            if self.file.listens:
                await self.file.event("write_compressed")
            await self.compression.write(offset, buffers)
        else:
            await self._write(offset, buffers, self.backing)
        if flags & Write.FUA:
            await self.flush()

    async def _write(self, offset: int, buffers: Buffers, backing: Node | None) -> None:
        if self.cipher is None:
            await self.writer.write(offset, buffers)
            return
        async with self._holding_sectors(offset, total(buffers)):
            await self.write_sectors(offset, buffers, backing)

    def _holding_sectors(self, offset: int, length: int) -> AbstractAsyncContextManager[None]:
        """Around a change of encrypted data: what comes between reading and writing a sector would be undone."""
        return self._sectors.hold(offset & ~(q.SECTOR - 1), -(-(offset + length) // q.SECTOR) * q.SECTOR)

    async def write_sectors(self, offset: int, buffers: Buffers, backing: Node | None) -> None:
        """Write; encrypted data in whole sectors, with what is around them (over `backing`) read first. Their sectors
        are held by the caller."""
        length = total(buffers)
        head, tail = offset % q.SECTOR, -(offset + length) % q.SECTOR
        if self.cipher is None or not (head or tail):
            await self.writer.write(offset, buffers)
            return
        before, behind = memoryview(bytearray(head)), memoryview(bytearray(tail))
        await self._read(offset - head, [before], backing)
        await self._read(offset + length, [behind], backing)
        await self.writer.write(offset - head, [before, *buffers, behind])

    async def write_host(self, host: int, offset: int, buffers: Buffers) -> None:
        """Write guest bytes of `offset` at `host` in the data file."""
        length = total(buffers)
        bits = self.metadata.geometry.cluster_bits
        busy, key = self.metadata.busy, object()
        busy[key] = (host >> bits, (host + length - 1 >> bits) + 1)
        try:
            if self.cipher is not None:
                at = offset if self.cipher.by_guest_offset else host
                buffers = [memoryview(self.cipher.encrypt(at, memoryview(gather(buffers))))]
            if self.file.listens:
                await self.file.event("write_aio")
            await self.data_file.write(host, buffers)
        finally:
            del busy[key]

    async def write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        self.note_write(offset, length)
        if self.cipher is None:
            await zeroing.write_zeroes(self, offset, length, flags)
        else:
            async with self._holding_sectors(offset, length):
                await zeroing.write_zeroes(self, offset, length, flags)
        if flags & Write.FUA:
            await self.flush()

    async def discard(self, offset: int, length: int) -> None:
        if self.cipher is None:
            await zeroing.discard(self, offset, length)
        else:
            async with self._holding_sectors(offset, length):
                await zeroing.discard(self, offset, length)

    async def flush(self) -> None:
        if not self.read_only and self.metadata.any_dirty:
            await self.metadata.commit()
        else:
            await self.metadata.flush_file()

    async def truncate(self, length: int, preallocation: str = "off", *, exact: bool = True) -> None:
        from varan.block.formats.qcow2.resize import truncate

        await truncate(self, length, preallocation)

    # Machine state, behind the guest's bytes.

    @property
    def vmstate_offset(self) -> int:
        """The offset in the image's address space where saved machine state begins."""
        geometry = self.metadata.geometry
        return geometry.l1_entries(self._length) * geometry.l2_coverage

    async def read_vmstate(self, offset: int, buffers: Buffers) -> None:
        """Read saved machine state. What was never written is zeros. Raises BlockError."""
        await self._read(self.vmstate_offset + offset, buffers, None)

    async def write_vmstate(self, offset: int, buffers: Buffers) -> None:
        """Write machine state; the L1 table grows as it needs. Raises BlockError."""
        at, geometry = self.vmstate_offset + offset, self.metadata.geometry
        entries = -(-(at + total(buffers)) // geometry.l2_coverage)
        if entries > len(self.metadata.l1):
            async with self.metadata.lock:
                await self.metadata.grow_l1(entries)
        await self._write(at, buffers, None)

    # The rest.

    async def block_status(self, offset: int, length: int) -> Extent:
        run = await self.metadata.run(offset, length)
        if run.kind is Kind.UNALLOCATED:
            return self._unallocated(offset, run)
        if run.kind is Kind.COMPRESSED:
            count = self.compression.reach(offset, run.length, length)
            return Extent(count, Data.DATA | Data.ALLOCATED | Data.COMPRESSED)
        flags = Data.ALLOCATED | (Data.ZERO if run.kind is Kind.ZERO else Data.DATA)
        if self.cipher is not None or (run.kind is Kind.ZERO and not run.host):
            return Extent(run.length, flags)
        if run.kind is Kind.DATA and await self._is_preallocated():
            below = await self.data_file.block_status(run.host, run.length)
            if below.flags & Data.ZERO:
                flags |= Data.ZERO
            run = replace(run, length=min(run.length, below.length))
        return Extent(run.length, flags | Data.RAW_OFFSET, run.host, self.data_file)

    def _unallocated(self, offset: int, run: Run) -> Extent:
        rest = self.backing.length - offset if self.backing is not None else 0
        flags = Data.NONE if rest > 0 else Data.ZERO
        length = min(run.length, rest) if rest > 0 else run.length
        if run.host and self.cipher is None:
            return Extent(length, flags | Data.RAW_OFFSET, run.host, self.data_file)
        return Extent(length, flags)

    async def _is_preallocated(self) -> bool:
        """Much is allocated here that is a hole in the file: worth asking the file what is zeros."""
        if self._preallocated is None:
            from varan.block.formats.qcow2.status import detect_preallocation

            self._preallocated = await detect_preallocation(self)
        return self._preallocated

    async def finish_writing(self) -> None:
        from varan.block.formats.qcow2.opening import finish

        await finish(self)
        await self.metadata.flush_file()

    async def reopened(self) -> None:
        from varan.block.formats.qcow2.opening import reopen

        await reopen(self)

    async def close(self) -> None:
        from varan.block.formats.qcow2.opening import finish

        await finish(self)

    def adopt(self, children: dict[str, Edge]) -> None:
        """Take children that no graph gives (tools and tests that stand alone)."""
        self.children.update(children)


def options_of(options: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Those of `options` whose names begin with `prefix`."""
    return {name: value for name, value in options.items() if name.startswith(prefix)}

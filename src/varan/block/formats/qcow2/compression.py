"""Reads and writes of compressed clusters, which lie packed one behind the other.

Several clusters at once are worked on in threads.
"""

from __future__ import annotations

import os

from varan.block.base import BlockError, Buffers, ErrorKind
from varan.block.formats.qcow2.buffers import gather, part, read_padded, scatter, total
from varan.block.formats.qcow2.cache import write_pieces
from varan.block.formats.qcow2.codecs import codec
from varan.block.formats.qcow2.runs import Kind
from varan.block.formats.qcow2.writer import Flight
from varan.block.lazy import asyncio, settled
from varan.block.memory import aligned
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from typing import TypeVar

    T = TypeVar("T")

    from varan.block.formats.qcow2.node import Qcow2Node

MAX_BATCH = 64


def _run_all(jobs: Sequence[Callable[[], T]]) -> list[T]:
    return [job() for job in jobs]


class Compression:
    """Reads and writes of compressed clusters of one node."""

    def __init__(self, node: Qcow2Node) -> None:
        self.node = node
        self.metadata = node.metadata
        self.size = node.metadata.geometry.cluster_size
        self.codec = codec(node.metadata.header.compression_type)
        self.wrote = False
        self._last: tuple[int, bytes] = (0, b"")
        """The cluster read last, by its entry: small reads come in rows."""
        self._pool: ThreadPoolExecutor | None = None

    def forget(self) -> None:
        """Host clusters may hold something else from now on."""
        self._last = (0, b"")

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    async def _in_threads(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """The results of `jobs`, worked on side by side. Returns, or raises, when no thread is at it any more: jobs
        write into the caller's buffers."""
        if len(jobs) < 2:
            return _run_all(jobs)
        from concurrent.futures import ThreadPoolExecutor, wait

        workers = min(8, os.cpu_count() or 1)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(workers, "qcow2-compression")
        step = -(-len(jobs) // (2 * workers))
        shares = [jobs[at : at + step] for at in range(0, len(jobs), step)]
        futures = [self._pool.submit(_run_all, share) for share in shares]
        try:
            loop = None if self.node.options.inline else asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None:
            wait(futures)
        else:
            work = asyncio.gather(*(asyncio.wrap_future(future) for future in futures), return_exceptions=True)
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                await settled(work)
                raise
        return [result for future in futures for result in future.result()]

    async def read(self, entry: int, offset: int, buffers: Buffers) -> int:
        """Read from compressed clusters, the first of which has `entry`; the number of bytes that were."""
        length = total(buffers)
        skip = offset % self.size
        if self._last[0] == entry:
            count = min(length, self.size - skip)
            scatter(memoryview(self._last[1])[skip : skip + count], part(buffers, 0, count))
            return count
        entries = self._entries(entry, offset, length)
        count = min(length, len(entries) * self.size - skip)
        self._last = (entries[-1], await self._load(entries, skip, part(buffers, 0, count)))
        return count

    def reach(self, offset: int, known: int, length: int) -> int:
        """How many of `length` bytes from `offset` on are compressed, as far as that is in memory; `known` are."""
        while known < length:
            run = self.metadata.cached_run(offset + known, length - known)
            if run is None or run.kind is not Kind.COMPRESSED:
                break
            known += run.length
        return known

    def _entries(self, entry: int, offset: int, length: int) -> list[int]:
        """The entries of compressed clusters that follow one another, as far as they are in memory."""
        entries = [entry]
        at = offset - offset % self.size + self.size
        while at < offset + length and len(entries) < MAX_BATCH:
            run = self.metadata.cached_run(at, self.size)
            if run is None or run.kind is not Kind.COMPRESSED:
                break
            entries.append(run.entry)
            at += self.size
        return entries

    async def _load(self, entries: list[int], skip: int, buffers: Buffers) -> bytes:
        """Fill `buffers` from the clusters of `entries`, `skip` bytes into the first; the last one's plain bytes.

        Neighbours in the file are read together.
        """
        extents = [self.metadata.geometry.compressed_extent(entry) for entry in entries]
        groups: list[list[tuple[int, int]]] = []
        end = -1
        for extent in extents:
            if groups and groups[-1][0][0] <= extent[0] <= end:
                groups[-1].append(extent)
            else:
                groups.append([extent])
                end = -1
            end = max(end, sum(extent))
        bits = self.metadata.geometry.cluster_bits
        streams: list[memoryview] = []
        from contextlib import ExitStack

        with ExitStack() as held:
            for group in groups:
                held.enter_context(self.node.holding(group[0][0] >> bits, (max(map(sum, group)) >> bits) + 1))
            for group in groups:
                start = group[0][0]
                data = memoryview(aligned(max(map(sum, group)) - start))
                await read_padded(self.node.file, start, [data])
                streams += [data[at - start : at - start + size] for at, size in group]
        jobs, done = [], 0
        for index, stream in enumerate(streams, 1):
            piece = part(buffers, done, min(self.size - skip, total(buffers) - done))
            jobs.append(self._job(stream, skip, piece, keep=index == len(streams)))
            done += total(piece)
            skip = 0
        return (await self._in_threads(jobs))[-1]

    def _job(self, stream: memoryview, skip: int, buffers: Buffers, *, keep: bool) -> Callable[[], bytes]:
        def job() -> bytes:
            # Copied at once, the plain bytes are still in the processor's cache, and their memory serves the next job.
            plain = self.codec.decompress(stream, self.size)
            scatter(memoryview(plain)[skip : skip + total(buffers)], buffers)
            return plain if keep else b""

        return job

    async def write(self, offset: int, buffers: Buffers) -> None:
        """Write whole clusters (the image's last may be short) compressed; those that do not shrink, plainly."""
        length = total(buffers)
        if offset % self.size or (length % self.size and offset + length != self.node.length):
            raise BlockError(ErrorKind.INVALID, "compressed writes are of whole clusters", where=self.node.filename)
        if self.metadata.header.has_data_file or self.node.cipher is not None:
            raise BlockError(
                ErrorKind.UNSUPPORTED,
                "no compression with an external data file or encryption",
                where=self.node.filename,
            )
        step = MAX_BATCH * self.size
        for at in range(0, length, step):
            await self._write_batch(offset + at, part(buffers, at, min(step, length - at)))

    async def _write_batch(self, offset: int, buffers: Buffers) -> None:
        length = total(buffers)
        clusters = [self._cluster(buffers, at) for at in range(0, length, self.size)]
        streams = await self._in_threads([self._compressing(cluster) for cluster in clusters])
        index = 0
        while index < len(streams):
            stop = index
            while stop < len(streams) and len(streams[stop]) < self.size:
                stop += 1
            if stop > index:
                await self._store(offset + index * self.size, streams[index:stop])
                index = stop
                continue
            at = index * self.size
            await self.node.writer.write(offset + at, part(buffers, at, min(self.size, length - at)))
            index += 1

    def _cluster(self, buffers: Buffers, at: int) -> memoryview | bytearray:
        pieces = part(buffers, at, min(self.size, total(buffers) - at))
        if len(pieces) == 1 and len(pieces[0]) == self.size:
            return pieces[0]
        joined = gather(pieces)
        return joined + bytes(self.size - len(joined))

    def _compressing(self, cluster: memoryview | bytearray) -> Callable[[], bytes]:
        return lambda: self.codec.compress(cluster)

    async def _store(self, offset: int, streams: list[bytes]) -> None:
        """Give compressed clusters a place, write them, and link them."""
        metadata, writer, geometry = self.metadata, self.node.writer, self.metadata.geometry
        bits = geometry.cluster_bits
        first, end = offset >> bits, (offset >> bits) + len(streams)
        async with writer.exclusive(first, end):
            metadata.check_writable()
            places = [await metadata.refcounts.allocate_bytes(len(stream)) for stream in streams]
            writer.virgin_from = max(writer.virgin_from, (max(places) // self.size + 2) * self.size)
            flight = Flight(first, end)
            writer.flights.append(flight)
        entries = [geometry.compressed_entry(at, len(data)) for at, data in zip(places, streams, strict=True)]
        linked = 0
        try:
            await self._write_streams(places, streams)
            async with metadata.lock:
                for index, entry in enumerate(entries):
                    await self._link(offset + index * self.size, entry)
                    linked = index + 1
                if metadata.crowded:
                    await metadata.commit_locked()
        except BaseException:
            for entry in entries[linked:]:
                writer.release_entry(entry)
            raise
        finally:
            writer.flights.remove(flight)
            if flight.landed is not None:
                flight.landed.set()

    async def _write_streams(self, places: list[int], streams: list[bytes]) -> None:
        self.wrote = True
        if max(places) >= self.metadata.geometry.compressed_offset_limit:
            raise BlockError(ErrorKind.NO_SPACE, "the image is too large for more compressed clusters")
        await write_pieces(self.node.file, sorted(zip(places, streams, strict=True)))

    async def _link(self, offset: int, entry: int) -> None:
        metadata = self.metadata
        table, index = await metadata.slice_for_change(offset)
        words = metadata.geometry.words_per_entry
        old = table.entries[index * words]
        table.entries[index * words] = entry
        if words == 2:
            table.entries[index * 2 + 1] = 0
        metadata.l2.touch(table, index * words, (index + 1) * words)
        self.node.writer.release_entry(old)

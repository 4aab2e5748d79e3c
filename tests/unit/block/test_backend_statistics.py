"""What of a back end's requests is counted, on either path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from varan.api.values import BlockdevOnError as Policy
from varan.block.backend import BlockBackend
from varan.block.base import BlockError, Buffers
from varan.block.errorpolicy import ErrorPolicy
from varan.block.graph import Graph
from varan.block.statistics import Kind

LENGTH = 1 << 20


def buffers(length: int) -> Buffers:
    return [memoryview(bytearray(length))]


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[BlockBackend]:
    (tmp_path / "disk").write_bytes(bytes(LENGTH))
    graph = Graph()
    source = {"driver": "file", "filename": f"{tmp_path}/disk"}
    backend = BlockBackend(graph, "drive0", await graph.open(source, user=None))
    backend.attach("the test", write=True)
    yield backend
    await backend.detach()
    await graph.close_all()


async def test_each_path_counts(backend: BlockBackend) -> None:
    assert backend.read_now(0, buffers(512))
    assert backend.write_now(4096, buffers(1024))
    await backend.read(0, buffers(2048))
    await backend.write(8192, buffers(512), requests=2)
    await backend.write_zeroes(0, 4096, unmap=False)
    await backend.discard(0, 8192)
    await backend.flush()
    tallies = backend.statistics.tallies
    assert [(tally.bytes, tally.operations, tally.merged) for tally in tallies] == [
        (2560, 2, 0),
        (1024 + 512 + 4096, 4, 1),
        (0, 1, 0),
        (8192, 1, 0),
    ]
    assert all(tally.nanoseconds > 0 and not tally.failed and not tally.invalid for tally in tallies)
    assert backend.node is not None
    assert backend.node.highest_write == 8704


async def test_what_is_beyond_the_end_is_invalid(backend: BlockBackend) -> None:
    assert not backend.read_now(LENGTH - 512, buffers(1024))
    with pytest.raises(BlockError):
        await backend.read(LENGTH - 512, buffers(1024))
    with pytest.raises(BlockError):
        await backend.discard(LENGTH, 512)
    assert backend.statistics.tallies[Kind.READ].invalid == 1
    assert backend.statistics.tallies[Kind.UNMAP].invalid == 1
    assert sum(tally.operations + tally.failed for tally in backend.statistics.tallies) == 0


async def test_a_failure_is_counted_where_it_is_the_requests_own(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(LENGTH))
    graph = Graph()
    faults = [{"event": "none", "iotype": iotype, "errno": "EIO"} for iotype in ("write", "flush")]
    image = {"driver": "file", "filename": f"{tmp_path}/disk"}
    node = await graph.open({"driver": "blkdebug", "inject-error": faults, "image": image}, user=None)
    backend = BlockBackend(graph, "drive0", node)
    backend.attach("the test", write=True)
    for requests in (1, 2):
        with pytest.raises(BlockError):
            await backend.write(0, buffers(1024), requests=requests)
    with pytest.raises(BlockError):
        await backend.flush()
    tallies = backend.statistics.tallies
    assert [(tally.failed, tally.operations, tally.bytes) for tally in tallies] == [
        (0, 0, 0),
        (1, 0, 0),
        (1, 0, 0),
        (0, 0, 0),
    ]
    backend.node = None
    await graph.close_all()


@pytest.mark.parametrize(
    ("policy", "done", "failed"), [(Policy.REPORT, 0, 1), (Policy.IGNORE, 1, 0), (Policy.STOP, 0, 0)]
)
async def test_a_failure_counts_as_what_the_guest_is_told(
    tmp_path: Path, policy: Policy, done: int, failed: int
) -> None:
    (tmp_path / "disk").write_bytes(bytes(LENGTH))
    graph = Graph()
    faults = [{"event": "none", "iotype": "write", "errno": "EIO"}]
    image = {"driver": "file", "filename": f"{tmp_path}/disk"}
    node = await graph.open({"driver": "blkdebug", "inject-error": faults, "image": image}, user=None)
    backend = BlockBackend(graph, "drive0", node)
    backend.policy = ErrorPolicy(write=policy)
    with pytest.raises(BlockError):
        await backend.write(0, buffers(512))
    tally = backend.statistics.tallies[Kind.WRITE]
    assert (tally.operations, tally.failed, tally.bytes) == (done, failed, 512 * done)
    await graph.close_all()

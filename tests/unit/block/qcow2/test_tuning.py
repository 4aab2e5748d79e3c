"""Options of an open image: the sizes of its caches, and which metadata are guarded against guest data."""

from __future__ import annotations

import asyncio
import itertools
import struct
from pathlib import Path
from typing import Any

import pytest
from tests.support.qcow2_images import image_bytes, open_image
from tests.support.recording_file import RecordingFile

from varan.block import request
from varan.block.base import BlockError, ErrorKind, OpenOptions
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2 import snapshots, tuning
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.formats.qcow2.opening import read_header
from varan.block.formats.qcow2.tuning import Structure, cache_limits, guarded

CLUSTER = 4096
SIZE = 4 << 20
MEBI = 1 << 20


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({}, (32 * MEBI, 8 * MEBI)),
        ({"l2-cache-size": MEBI}, (MEBI, 8 * MEBI)),
        ({"refcount-cache-size": MEBI}, (32 * MEBI, MEBI)),
        ({"cache-size": 4 * MEBI}, (4 * MEBI - 4 * CLUSTER, 4 * CLUSTER)),
        ({"cache-size": 4 * MEBI, "l2-cache-size": MEBI}, (MEBI, 3 * MEBI)),
        ({"cache-size": 4 * MEBI, "refcount-cache-size": MEBI}, (3 * MEBI, MEBI)),
    ],
)
def test_cache_sizes(options: dict[str, Any], limits: tuple[int, int]) -> None:
    assert cache_limits(options, CLUSTER) == limits


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cache-size": MEBI, "l2-cache-size": 2 * MEBI}, "l2-cache-size"),
        ({"cache-size": MEBI, "refcount-cache-size": 2 * MEBI}, "refcount-cache-size"),
        ({"cache-size": MEBI, "l2-cache-size": 1, "refcount-cache-size": 1}, "together"),
        ({"cache-clean-interval": -1}, "cache-clean-interval"),
        ({"cache-clean-interval": 1 << 32}, "cache-clean-interval"),
        ({"overlap-check": "some"}, "overlap-check"),
    ],
)
async def test_contradictions_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    file = RecordingFile(await image_bytes(tmp_path, SIZE))
    with pytest.raises(BlockError, match=words):
        await open_image(file, **options)


async def test_caches_stay_within_their_sizes(tmp_path: Path) -> None:
    file = RecordingFile(await image_bytes(tmp_path, 64 * MEBI, cluster_size="512"))
    node = await open_image(file, **{"cache-size": 16 << 10})
    for at in range(0, 64 * MEBI, 32 << 10):
        await request.write_bytes(node, at, b"x")
    for cache in (node.metadata.l2, node.metadata.refcounts.cache):
        assert 0 < len(cache._tables) * cache.table_bytes <= 16 << 10
    await node.close()


async def test_tables_that_nobody_looks_at_are_dropped_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "clean_interval", lambda options: 0.01)
    file = RecordingFile(await image_bytes(tmp_path, SIZE))
    options = OpenOptions(driver_options={})
    node = Qcow2Node(options, await read_header(file), file)
    await node.children_ready()
    await request.write_bytes(node, 0, b"x")
    await node.flush()
    async with asyncio.timeout(30):
        while node.metadata.l2._tables or node.metadata.refcounts.cache._tables:
            await asyncio.sleep(0.01)
    assert await request.read_bytes(node, 0, 1) == b"x"
    await node.close()
    assert node.cleaning is not None and node.cleaning.cancelled()


def test_templates_grow_and_single_kinds_override_them() -> None:
    sets = [guarded({"overlap-check": name}) for name in ("none", "constant", "cached", "all")]
    assert all(less & more == less != more for less, more in itertools.pairwise(sets))
    assert guarded({}) == sets[2]
    assert guarded({"overlap-check.template": "none", "overlap-check.active-l2": True}) == Structure.ACTIVE_L2
    assert not guarded({"overlap-check.main-header": False}) & Structure.MAIN_HEADER


async def image_whose_data_lie_on(tmp_path: Path, kind: Structure) -> RecordingFile:
    """An image with a snapshot, whose first guest cluster is said to lie on metadata of a kind."""
    file = RecordingFile(await image_bytes(tmp_path, SIZE, cluster_size=str(CLUSTER)))
    node = await open_image(file)
    await request.write_bytes(node, 0, b"x" * CLUSTER)
    await snapshots.create(node, "one", date=0)
    await request.write_bytes(node, 0, b"y" * CLUSTER)
    await node.flush()
    metadata = node.metadata
    [snapshot] = await snapshots.list_snapshots(node)
    inactive = await metadata.read_table(snapshot.l1_offset, 1)
    places = {
        Structure.MAIN_HEADER: 0,
        Structure.ACTIVE_L1: metadata.header.l1_table_offset,
        Structure.ACTIVE_L2: metadata.l1[0] & q.OFFSET_MASK,
        Structure.REFCOUNT_TABLE: metadata.header.refcount_table_offset,
        Structure.REFCOUNT_BLOCK: metadata.refcounts.table[0],
        Structure.SNAPSHOT_TABLE: metadata.header.snapshots_offset,
        Structure.INACTIVE_L1: snapshot.l1_offset,
        Structure.INACTIVE_L2: inactive[0] & q.OFFSET_MASK,
    }
    table = metadata.l1[0] & q.OFFSET_MASK
    await node.close()
    file.disk.content[table : table + 8] = struct.pack(">Q", places[kind] | q.COPIED)
    return file


@pytest.mark.parametrize("kind", [kind for kind in Structure if kind is not Structure.BITMAP_DIRECTORY])
async def test_data_over_metadata_mark_the_image_corrupt_where_that_is_looked_for(
    tmp_path: Path, kind: Structure
) -> None:
    if kind is not Structure.MAIN_HEADER:  # an entry of offset 0 is no cluster at all
        file = await image_whose_data_lie_on(tmp_path, kind)
        node = await open_image(file, **{"overlap-check": "all"})
        with pytest.raises(BlockError) as caught:
            await request.write_bytes(node, 0, b"z" * 512)
        assert caught.value.kind is ErrorKind.CORRUPT
        await node.close()
        assert (await read_header(file)).incompatible & q.INCOMPATIBLE_CORRUPT
    node = await open_image(
        RecordingFile(await image_bytes(tmp_path, SIZE)), **{"overlap-check": "none", kind.option: True}
    )
    assert bool(node.metadata.guard.overlaps(0, 1)) is (kind is Structure.MAIN_HEADER)
    await node.close()


@pytest.mark.parametrize(("template", "caught"), [("cached", False), ("all", True)])
async def test_tables_of_snapshots_are_guarded_on_request(tmp_path: Path, template: str, caught: bool) -> None:
    file = await image_whose_data_lie_on(tmp_path, Structure.INACTIVE_L2)
    node = await open_image(file, **{"overlap-check": template})
    if caught:
        with pytest.raises(BlockError, match="corrupt"):
            await request.write_bytes(node, 0, b"z" * 512)
    else:
        await request.write_bytes(node, 0, b"z" * 512)
    await node.close()

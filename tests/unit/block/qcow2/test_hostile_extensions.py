"""Images whose snapshots, bitmaps or keys lie: a BlockError or plausible content, never anything else, and bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.qcow2_images import check_bytes, image_bytes, open_image
from tests.support.recording_file import RecordingFile

from varan.block import request
from varan.block.base import BlockError, ErrorKind
from varan.block.formats.qcow2 import bitmap_store, encryption, snapshots
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.bitmaps import bitmaps_of
from varan.block.formats.qcow2.encryption import crypto_extension
from varan.block.formats.qcow2.header import Header

SIZE = 1 << 20
CLUSTER = 4096
LONGEST_FILE = 64 << 20

VALUES = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.sampled_from([0, 1, CLUSTER, 3 * CLUSTER, CLUSTER + 512, 1 << 40, 1 << 56, (1 << 63) - 1, (1 << 64) - 1]),
)


async def an_image(tmp_path: Path) -> tuple[bytes, list[int]]:
    """An image with two snapshots and two bitmaps, and the places of all their structures."""
    file = RecordingFile(await image_bytes(tmp_path, SIZE, cluster_size=str(CLUSTER)))
    node = await open_image(file)
    await request.write_bytes(node, 0, bytes(range(256)) * 256)
    await snapshots.create(node, "first", date=0)
    bitmaps_of(node).add("a", 512)
    bitmaps_of(node).add("b", 65536, enabled=False)
    await request.write_bytes(node, 0, b"z" * 20000)
    await snapshots.create(node, "second", date=0)
    await node.close()
    node = await open_image(file, read_only=True)
    places = [node.metadata.header.snapshots_offset]
    places += [snapshot.l1_offset for snapshot in await snapshots.list_snapshots(node)]
    extension = bitmap_store.extension_of(node.metadata)
    assert extension is not None
    places.append(extension.offset)
    places += [entry.table_offset for entry in await bitmap_store.read_directory(node.metadata)]
    places.append(112)  # the header extensions
    return bytes(file.disk.content), places


@pytest.fixture
async def sound(tmp_path: Path) -> tuple[bytes, list[int]]:
    return await an_image(tmp_path)


async def use(file: RecordingFile) -> None:
    """Everything that concerns snapshots and bitmaps."""
    node = await open_image(file)
    await request.write_bytes(node, 30_000, b"w" * 10_000)
    for name in bitmaps_of(node).names:
        try:
            assert (await bitmaps_of(node).get(name)).count <= SIZE
        except BlockError:
            await bitmaps_of(node).remove(name)
    for snapshot in await snapshots.list_snapshots(node):
        try:
            await snapshots.apply(node, snapshot.id)
            await request.read_bytes(node, 0, min(node.length, SIZE))
        except BlockError:
            pass
        await snapshots.delete(node, snapshot.id)
    await node.close()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.data())
async def test_damaged_structures(sound: tuple[bytes, list[int]], data: st.DataObject) -> None:
    content, places = sound
    image = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        width = data.draw(st.sampled_from([1, 2, 4, 8]))
        place = data.draw(st.sampled_from(places)) + width * data.draw(st.integers(0, 12))
        image[place : place + width] = data.draw(VALUES).to_bytes(8, "big")[-width:]
    file = RecordingFile(bytes(image))
    try:
        await check_bytes(image)
        await use(file)
    except BlockError:
        pass
    assert file.length < LONGEST_FILE


def luks_header(offset: int, length: int) -> Header:
    header = Header(crypt_method=q.CRYPT_LUKS)
    header.set_extension(q.EXTENSION_CRYPTO, crypto_extension(offset, length))
    return header


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, 4096),
        (512, 4096),
        (65536, 100),
        (65536, 1 << 62),
        (1 << 62, 4096),
        (131072, 4096),
        ((1 << 64) - 65536, 1 << 16),
    ],
)
async def test_encryption_header_in_a_wild_place(offset: int, length: int) -> None:
    file = RecordingFile(bytes(131072))
    options = {"encrypt.key-secret": "k"}
    with pytest.raises(BlockError) as caught:
        await encryption.open_cipher(luks_header(offset, length), file, options, lambda _: b"pw")
    assert caught.value.kind in (ErrorKind.CORRUPT, ErrorKind.INVALID)


async def test_without_a_key_metadata_is_there_and_data_is_not(tmp_path: Path) -> None:
    options = {"encrypt.format": "aes", "encrypt.key-secret": "k"}
    from varan.block.formats.qcow2.create import create

    path = tmp_path / "aes.qcow2"
    await create(str(path), SIZE, options, lambda _: b"pw")
    file = RecordingFile(path.read_bytes())
    node = await open_image(file)
    with pytest.raises(BlockError) as caught:
        await request.write_bytes(node, 0, b"x" * 512)
    assert caught.value.kind is ErrorKind.ENCRYPTED
    await snapshots.create(node, "possible", date=0)
    await node.close()
    assert (await check_bytes(file.disk.content)).corruptions == 0


@pytest.mark.parametrize(
    "options",
    [
        {"encrypt.format": "rot13", "encrypt.key-secret": "k"},
        {"encrypt.format": "luks"},
        {"encrypt.key-secret": "k"},
        {"encrypt.format": "luks", "encrypt.key-secret": "k", "encrypt.cipher-alg": "serpent-256"},
        {"encrypt.format": "luks", "encrypt.key-secret": "k", "encrypt.iter-time": "soon"},
        {"encrypt.format": "luks", "encrypt.key-secret": "k", "encryption": "on"},
    ],
)
async def test_encryption_that_cannot_be_made_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(BlockError):
        await encryption.new_encryption(options, lambda _: b"pw")

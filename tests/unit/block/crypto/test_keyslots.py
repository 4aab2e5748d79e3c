"""Key slots of a LUKS header in place, and the format driver over it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from tests.support.qcow2_images import edge
from tests.support.recording_file import RecordingFile, prefix

from varan.block import request
from varan.block.base import BlockError, ErrorKind, Node, OpenOptions
from varan.block.crypto import keyslots
from varan.block.crypto.keyslots import Area
from varan.block.crypto.secret import Secrets
from varan.block.formats.luks import LuksDriver, LuksNode

SIZE = 64 << 10
OPTIONS = {"cipher-alg": "aes-128", "iter-time": "1"}


@pytest.fixture(scope="module")
def image() -> bytes:
    """A small LUKS image that opens with "first"."""
    header = keyslots.header_from(OPTIONS)
    start, _ = keyslots.build(header, b"first", 1)
    return start.ljust(header.payload_offset * 512, b"\0") + bytes(SIZE)


def some_secrets() -> Secrets:
    secrets = Secrets()
    for name in ("first", "second", "wrong"):
        secrets.set(name, name.encode())
    return secrets


async def opened(file: Node, secret: str | None = "first", **options: object) -> LuksNode:
    given = {"key-secret": secret} if secret else {}
    opening = OpenOptions(secret=some_secrets().get, driver_options=given, **options)  # type: ignore[arg-type]
    node = await LuksDriver.open(opening, {"file": edge(file, "file")})
    assert isinstance(node, LuksNode)
    return node


def area(file: Node) -> Area:
    return Area(file, 0, file.length - SIZE)


async def opens(file: Node, password: bytes) -> bool:
    header = await keyslots.load(area(file))
    return await keyslots.find_slot(area(file), header, password) is not None


async def test_added_key_opens_too(image: bytes) -> None:
    file = RecordingFile(image)
    assert await keyslots.add_key(area(file), b"first", b"second", None, 1) == 1
    assert await opens(file, b"first") and await opens(file, b"second")
    assert not await opens(file, b"wrong")


async def test_erased_key_opens_no_more_and_its_material_is_gone(image: bytes) -> None:
    file = RecordingFile(image)
    await keyslots.add_key(area(file), b"first", b"second", 5, 1)
    before = bytes(file.disk.content)
    assert await keyslots.erase_keys(area(file), b"first", None, force=False) == [0]
    assert await opens(file, b"second") and not await opens(file, b"first")
    start = (await keyslots.load(area(file))).slots[0].offset * 512
    assert file.disk.content[start : start + 64] != before[start : start + 64]


async def test_crash_while_adding_a_key_leaves_the_old_one(image: bytes) -> None:
    file = RecordingFile(image)
    await keyslots.add_key(area(file), b"first", b"second", None, 1)
    for count in range(len(file.log) + 1):
        assert await opens(RecordingFile(bytes(prefix(image, file.log, count))), b"first")


async def test_last_key_goes_only_by_force(image: bytes) -> None:
    file = RecordingFile(image)
    with pytest.raises(BlockError, match="last key"):
        await keyslots.erase_keys(area(file), None, 0, force=False)
    await keyslots.erase_keys(area(file), None, 0, force=True)
    assert not await opens(file, b"first")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"state": "active"}, "new-secret"),
        ({"state": "active", "new-secret": "second", "keyslot": "0"}, "taken"),
        ({"state": "active", "new-secret": "second", "keyslot": "8"}, "0 to 7"),
        ({"state": "active", "new-secret": "second", "keyslot": "x"}, "number"),
        ({"state": "active", "new-secret": "second", "iter-time": "0"}, "iter-time"),
        ({"state": "active", "new-secret": "second", "old-secret": "wrong"}, "none of the key slots"),
        ({"state": "inactive"}, "either 'keyslot' or 'old-secret'"),
        ({"state": "inactive", "keyslot": "3"}, "not active"),
        ({"state": "inactive", "old-secret": "wrong"}, "none of the key slots"),
        ({"state": "asleep"}, "'active' or 'inactive'"),
        ({}, "'active' or 'inactive'"),
    ],
)
async def test_refused_amendments_change_nothing(image: bytes, options: dict[str, str], words: str) -> None:
    file = RecordingFile(image)
    node = await opened(file)
    with pytest.raises(BlockError, match=words):
        await node.amend(options)
    assert bytes(file.disk.content) == image


async def test_driver_reads_what_it_wrote_at_any_offset(image: bytes) -> None:
    file = RecordingFile(image)
    node = await opened(file)
    assert node.length == SIZE
    chance = random.Random(3)
    expected = bytearray(await request.read_bytes(node, 0, SIZE))
    for _ in range(60):
        offset = chance.randrange(SIZE)
        data = chance.randbytes(chance.randrange(1, min(5000, SIZE - offset) + 1))
        expected[offset : offset + len(data)] = data
        half = len(data) // 2
        await request.write(node, offset, [memoryview(data)[:half], memoryview(data)[half:]])
    assert await request.read_bytes(node, 0, SIZE) == expected
    again = await opened(file)
    assert await request.read_bytes(again, 0, SIZE) == expected
    assert bytes(expected[:512]) not in bytes(file.disk.content)


async def test_writes_side_by_side_in_one_sector_both_arrive(image: bytes) -> None:
    node = await opened(RecordingFile(image))
    pieces = [(at, bytes([at % 251]) * 100) for at in range(0, 4000, 100)]
    await asyncio.gather(*(request.write_bytes(node, at, data) for at, data in pieces))
    data = await request.read_bytes(node, 0, 4000)
    assert data == b"".join(piece for _, piece in pieces)


async def test_missing_and_wrong_keys_are_encrypted_errors(image: bytes) -> None:
    for secret in (None, "wrong", "nobody"):
        with pytest.raises(BlockError) as caught:
            await opened(RecordingFile(image), secret)
        assert caught.value.kind is ErrorKind.ENCRYPTED


async def test_cut_image_is_corrupt(image: bytes) -> None:
    with pytest.raises(BlockError) as caught:
        await opened(RecordingFile(image[:5000]))
    assert caught.value.kind is ErrorKind.CORRUPT


async def test_created_image_opens(tmp_path: Path) -> None:
    path = tmp_path / "new.luks"
    await LuksDriver.create(str(path), 100_000, OPTIONS | {"key-secret": "first"}, some_secrets().get)
    node = await opened(RecordingFile(path.read_bytes()))
    assert node.length == 100_352
    assert LuksDriver.probe(path.read_bytes()[:2048], str(path)) == 100


async def test_create_without_a_secret_makes_nothing(tmp_path: Path) -> None:
    for options in (OPTIONS, OPTIONS | {"key-secret": "nobody"}, OPTIONS | {"key-secret": "first", "hash-alg": "x"}):
        path = tmp_path / "new.luks"
        with pytest.raises(BlockError):
            await LuksDriver.create(str(path), 100_000, options, some_secrets().get)
        assert not path.exists()

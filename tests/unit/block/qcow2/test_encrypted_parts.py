"""Requests that begin or end inside a sector of an encrypted image: nobody's bytes are lost, however they overlap."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from tests.support.qcow2_images import check_bytes, image_bytes, open_image
from tests.support.recording_file import RecordingFile
from tests.unit.block.qcow2.test_concurrency import WaitingFile

from varan.block import request
from varan.block.base import Write
from varan.block.crypto.aes import legacy_cipher
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.encryption import DataCipher
from varan.block.formats.qcow2.node import Qcow2Node

SIZE = 64 << 10
METHODS = {"by place on the disk": q.CRYPT_AES, "by place in the file": q.CRYPT_LUKS}
SHAPES: dict[str, dict[str, str]] = {
    "clusters": {"cluster_size": "4096"},
    "subclusters": {"cluster_size": "16384", "extended_l2": "on"},
}


async def encrypted(file: RecordingFile, method: int, backing: RecordingFile | None = None) -> Qcow2Node:
    """The image in `file`, opened, with a cipher put before its data."""
    node = await open_image(file, backing=backing)
    node.cipher = DataCipher(method, legacy_cipher(b"password"), "image")
    return node


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("method", METHODS)
async def test_neighbours_within_a_sector_do_not_disturb_each_other(tmp_path: Path, method: str, shape: str) -> None:
    chance = random.Random(f"{method} {shape}")
    file = WaitingFile(await image_bytes(tmp_path, SIZE, **SHAPES[shape]), chance)
    node = await encrypted(file, METHODS[method], RecordingFile(chance.randbytes(SIZE // 2)))
    model = bytearray(await request.read_bytes(node, 0, SIZE))

    async def worker(number: int) -> None:
        for _ in range(60):
            at = chance.randrange(40) * 800 + number * 100
            if chance.random() < 0.3:
                model[at : at + 100] = bytes(100)
                await request.zero(node, at, 100, chance.choice([Write.NONE, Write.MAY_UNMAP]))
            else:
                data = chance.randbytes(100)
                model[at : at + 100] = data
                await request.write_bytes(node, at, data)
            assert await request.read_bytes(node, at, 100) == model[at : at + 100]

    await asyncio.gather(*(worker(number) for number in range(8)))
    assert await request.read_bytes(node, 0, SIZE) == model
    await node.close()
    report = await check_bytes(file.disk.content)
    assert (report.corruptions, report.leaks) == (0, 0), report.messages


@pytest.mark.parametrize("change", ["write", "zero", "discard"])
async def test_a_part_of_a_sector_does_not_bring_back_what_another_request_replaced(
    tmp_path: Path, change: str
) -> None:
    file = WaitingFile(await image_bytes(tmp_path, SIZE, cluster_size="4096"), random.Random(change))
    node = await encrypted(file, q.CRYPT_LUKS)
    for _ in range(20):
        await request.write_bytes(node, 0, b"old" * 4096)
        replacing = {
            "write": lambda: request.write_bytes(node, 0, b"new" * 4096),
            "zero": lambda: request.zero(node, 0, 12288),
            "discard": lambda: request.discard(node, 0, 12288),
        }[change]
        await asyncio.gather(request.write_bytes(node, 4100, b"!"), replacing())
        found = await request.read_bytes(node, 0, 12288)
        assert b"old" not in found
        assert set(found[:4096] + found[8192:]) <= set(b"new\0")

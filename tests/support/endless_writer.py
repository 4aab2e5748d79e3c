"""A program that writes to an image for ever, and says on its standard output what it is about to do and has flushed.

Arguments: the image, a number that its choices follow from, and what it may do besides writing, zeroing and
discarding: "snapshots", "bitmaps" or nothing. It is meant to be killed.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys

from varan import block
from varan.block.formats.qcow2 import snapshots
from varan.block.operations.bitmap import Action, change

SECTOR = 512


def say(*words: object) -> None:
    """One line, in one write: what is killed between two lines has said the first."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def work(path: str, chance: random.Random, extras: str) -> None:
    """Write until killed."""
    async with block.open(path, format="qcow2", discard=True) as image:
        say("open")
        names: list[str] = []
        while True:
            await _request(image, chance)
            if chance.random() < 0.15:
                await image.flush()
                say("flushed")
            if extras == "snapshots" and chance.random() < 0.1:
                await _snapshot(image, chance, names)
            if extras == "bitmaps" and chance.random() < 0.05:
                names.append(f"map{chance.random()}")
                await change(image.node, names[-1], [Action("add")], granularity=512)


async def _request(image: block.Image, chance: random.Random) -> None:
    length = chance.choice([1, 2, 7, 8, 16, 64, 200]) * SECTOR
    offset = chance.randrange(0, image.length - length + 1, SECTOR)
    what, value = chance.random(), chance.randrange(1, 256)
    if what < 0.75:
        say("write", offset, length, value)
        await image.write(offset, bytes([value]) * length)
    else:
        say("write", offset, length, 0)
        await image.write_zeroes(offset, length, unmap=what < 0.9)


async def _snapshot(image: block.Image, chance: random.Random, names: list[str]) -> None:
    if names and chance.random() < 0.5:
        await snapshots.delete(image.node, names.pop(chance.randrange(len(names))))  # type: ignore[arg-type]
    else:
        names.append(f"s{chance.random()}")
        await snapshots.create(image.node, names[-1], date=0)  # type: ignore[arg-type]


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], random.Random(sys.argv[2]), sys.argv[3]))

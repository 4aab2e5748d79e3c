"""A program that writes random sectors of an image until it is killed, telling what it does and what is safe.

Run as `python image_writer.py IMAGE SEED`. Each sector that is written carries its own number and the write's. On
standard output: a line "w FIRST COUNT SERIAL" before a write, "f" when a flush has returned.
"""

from __future__ import annotations

import os
import random
import struct
import sys

from varan.block import request
from varan.block.base import OpenOptions, Write
from varan.block.drive import run_now
from varan.block.graph import Graph

SECTOR = 512


def sector_bytes(sector: int, serial: int) -> bytes:
    """What write number `serial` (0: never written) leaves in a sector."""
    return struct.pack(">QQ", sector + 1, serial) * (SECTOR // 16) if serial else bytes(SECTOR)


def say(line: str) -> None:
    """One line in one system call."""
    os.write(1, f"{line}\n".encode())


async def work(filename: str, seed: int) -> None:
    """Never returns."""
    chance = random.Random(seed)
    graph = Graph(inline=True)
    node = await graph.open(filename, options=OpenOptions(discard=True))
    sectors = node.length // SECTOR
    serial = 0
    while True:
        serial += 1
        count = chance.choice([1, 2, 8, 100, 300])
        first = chance.randrange(sectors - count)
        zero = chance.random() < 0.2
        say(f"{'z' if zero else 'w'} {first} {count} {serial}")
        if zero:
            await request.zero(node, first * SECTOR, count * SECTOR, Write.MAY_UNMAP)
        else:
            data = b"".join(sector_bytes(first + at, serial) for at in range(count))
            await request.write_bytes(node, first * SECTOR, data)
        if chance.random() < 0.1:
            await node.flush()
            say("f")


if __name__ == "__main__":
    run_now(work(sys.argv[1], int(sys.argv[2])))

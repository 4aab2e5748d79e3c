"""Files that a user boots are input: whatever they hold, the loader boots them or says what is wrong."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.boot_images import MIB, BzImage, ElfSegment, elf, ram

from varan.board.boot.base import BootError
from varan.board.boot.linux import LinuxBoot

SEEDS = [
    bytes(BzImage(code=b"\x90" * 0x400)),
    elf(ElfSegment(0x100000, b"text" * 16, memory_size=0x2000), ElfSegment(0x200000, b"data"), entry=0x100000),
]
HEADERS = {0: (0x1F1, 0x270), 1: (0, 64 + 2 * 56)}
"""Where the seeds' headers lie: mutations elsewhere change nothing that is looked at."""

mutations = st.lists(st.tuples(st.integers(0, 1 << 12), st.binary(min_size=1, max_size=8)), max_size=4)


def boots_or_explains(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "kernel"
        path.write_bytes(data)
        memory = ram((0, 20 * MIB))
        try:
            state = LinuxBoot(memory, str(path), append="quiet").install(memory)
        except BootError as error:
            assert str(path) in str(error) or "command line" in str(error)
        else:
            assert MIB <= state.rip < 20 * MIB


@pytest.mark.parametrize("seed", range(len(SEEDS)))
@settings(max_examples=300, deadline=None)
@given(mutations=mutations, length=st.none() | st.integers(0, 0x900))
def test_a_mutated_kernel_boots_or_gives_a_boot_error(
    seed: int, mutations: list[tuple[int, bytes]], length: int | None
) -> None:
    data = bytearray(SEEDS[seed])
    first, last = HEADERS[seed]
    for at, patch in mutations:
        at = first + at % (last - first)
        data[at : at + len(patch)] = patch
    boots_or_explains(bytes(data[:length]))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([b"", b"\x7fELF", b"MZ", bytes(0x202) + b"HdrS"]), st.binary(max_size=0x500))
def test_arbitrary_bytes_give_a_boot_error(magic: bytes, data: bytes) -> None:
    boots_or_explains(magic + data)

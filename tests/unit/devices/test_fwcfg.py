"""The firmware configuration device at ports 510h to 51Bh."""

from __future__ import annotations

import random
import struct

import pytest
from tests.support.bus import Bus

from varan.core.memory import GuestRam, MemorySpace
from varan.core.state import decode, encode
from varan.devices import fwcfg as f
from varan.devices.fwcfg import FwCfg

PORT, DATA, DMA = 0x510, 0x511, 0x514
COMMAND, TARGET = 0x1000, 0x2000
FILES = {"zeta": b"the last", "etc/a": b"first\0", "opt/empty": b""}


class Guest(Bus):
    def __init__(self) -> None:
        super().__init__()
        self.memory = MemorySpace()
        self.ram = GuestRam(1 << 16)
        self.memory.map_ram(0, self.ram)
        self.words = {0x05: b"\2\0"}
        items = {0x05: lambda: self.words[0x05]}
        self.device = FwCfg(self.memory, items, {name: (lambda data=data: data) for name, data in FILES.items()})
        self.device.map(self.ports)

    def select(self, key: int) -> None:
        self.ports.write(PORT, 2, key)

    def take(self, count: int) -> bytes:
        return bytes(self.inb(DATA) for _ in range(count))

    def order(self, command: int, length: int = 0, target: int = TARGET, at: int = COMMAND) -> int:
        """Give a command in memory; its result."""
        self.memory.write_ram(at, struct.pack(">IIQ", command, length, target))
        for port, half in ((DMA, at >> 32), (DMA + 4, at)):
            self.ports.write(port, 4, int.from_bytes((half & 0xFFFFFFFF).to_bytes(4, "big"), "little"))
        return int.from_bytes(self.memory.read_bytes(at, 4), "big")

    def directory(self) -> dict[str, tuple[int, int]]:
        """Key and length of each file."""
        self.select(0x19)
        (count,) = struct.unpack(">I", self.take(4))
        entries = (f.ENTRY.unpack(self.take(f.ENTRY.size)) for _ in range(count))
        return {name.rstrip(b"\0").decode(): (key, length) for length, key, name in entries}


@pytest.fixture
def guest() -> Guest:
    return Guest()


def test_the_device_says_what_it_is(guest: Guest) -> None:
    guest.select(0)
    assert guest.take(6) == b"QEMU\0\0"
    guest.select(1)
    assert guest.take(4) == b"\3\0\0\0"
    assert b"".join(guest.ports.read(DMA + at, 4).to_bytes(4, "little") for at in (0, 4)) == b"QEMU CFG"


def test_files_are_listed_by_name_and_read_by_key(guest: Guest) -> None:
    listed = guest.directory()
    assert listed == {"etc/a": (0x20, 6), "opt/empty": (0x21, 0), "zeta": (0x22, 8)}
    for name, (key, length) in listed.items():
        guest.select(key)
        assert guest.take(length) == FILES[name]
    guest.select(0x23)
    assert guest.take(2) == bytes(2)


def test_an_item_is_what_is_true_when_it_is_selected(guest: Guest) -> None:
    guest.select(0x05)
    assert guest.take(1) == b"\2"
    guest.words[0x05] = b"\3\1"
    assert guest.take(1) == b"\0"
    guest.select(0x05)
    assert guest.take(2) == b"\3\1"


def test_a_command_selects_skips_and_reads_into_memory(guest: Guest) -> None:
    key, _ = guest.directory()["zeta"]
    guest.memory.write_ram(TARGET, b"\xff" * 10)
    assert guest.order(key << 16 | f.SELECT | f.SKIP, 4) == 0
    assert guest.order(f.READ, 6) == 0
    assert guest.memory.read_bytes(TARGET, 8) == b"last\0\0\xff\xff"
    assert guest.order(key << 16 | f.SELECT | f.READ, 3) == 0
    assert guest.memory.read_bytes(TARGET, 3) == b"the"


def test_what_cannot_be_is_an_error(guest: Guest) -> None:
    assert guest.order(0x20 << 16 | f.SELECT | f.WRITE, 1) == f.ERROR
    assert guest.order(0x20 << 16 | f.SELECT | f.READ, 1, target=1 << 40) == f.ERROR
    assert guest.order(f.READ, 0xFFFFFFFF) == f.ERROR
    guest.order(f.READ, 1, at=1 << 40)


def test_a_saved_device_goes_on_reading(guest: Guest) -> None:
    guest.select(0x22)
    guest.take(4)
    other = Guest()
    other.device.load(decode(other.device.state_type, encode(guest.device.save())))
    assert other.take(4) == b"last"
    guest.device.reset()
    assert guest.take(4) == b"QEMU"


@pytest.mark.parametrize("seed", range(10))
def test_random_accesses_break_nothing(guest: Guest, seed: int) -> None:
    source = random.Random(seed)
    for _ in range(300):
        port, size = PORT + source.randrange(12), source.choice((1, 2, 4))
        if source.random() < 0.5:
            guest.ports.read(port, size)
        else:
            guest.ports.write(port, size, source.getrandbits(8 * size))
        guest.memory.write_ram(0, source.randbytes(32))

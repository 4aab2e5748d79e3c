"""Interrupt messages from a table in a BAR."""

from __future__ import annotations

import json

import pytest
from tests.support.pci import PciRig, sample

from varan.core.memory import GuestRam
from varan.core.state import decode, encode
from varan.devices.pci import msix
from varan.devices.pci import registers as r
from varan.devices.pci.msix import MsixState, MsixTable

DEVFN = 2 << 3
CAP = 0x40
TABLE = 0xE0000000
TARGET = 0xFEE01000


class Rig(PciRig):
    def __init__(self, vectors: int = 4) -> None:
        super().__init__()
        self.function = sample()
        self.msix = MsixTable(self.function, vectors, 1)
        self.bus.attach(self.function, DEVFN)
        self.command(DEVFN, r.COMMAND_MASTER | r.COMMAND_MEMORY)
        self.write(DEVFN, r.BAR0 + 4, 4, TABLE)
        self.pending_at = self.read(DEVFN, CAP + 8, 4) & ~7

    def control(self, value: int) -> None:
        self.write(DEVFN, CAP + msix.CONTROL, 2, value)

    def entry(self, vector: int, address: int, data: int, mask: int = 0) -> None:
        for at, value in enumerate((address & 0xFFFFFFFF, address >> 32, data, mask)):
            self.memory.write(TABLE + 16 * vector + 4 * at, 4, value)

    def pending(self) -> int:
        return self.memory.read(TABLE + self.pending_at, 8)


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    for vector in range(4):
        rig.entry(vector, TARGET, 0x30 + vector)
    return rig


def test_capability_tells_size_and_places() -> None:
    rig = Rig(vectors=3)
    assert rig.read(DEVFN, CAP, 4) == 2 << 16 | r.CAP_MSIX
    assert rig.read(DEVFN, CAP + 4, 4) == 1
    assert rig.read(DEVFN, CAP + 8, 4) == 0x801
    assert rig.memory.read(TABLE + 12, 4) == msix.ENTRY_MASKED


@pytest.mark.parametrize(("vectors", "size", "pending"), [(1, 4096, 2048), (128, 4096, 2048), (2048, 65536, 32768)])
def test_table_and_pending_bits_share_a_bar_that_fits(vectors: int, size: int, pending: int) -> None:
    rig = Rig(vectors)
    assert rig.function.layout.bars[1].size == size
    assert rig.pending_at == pending
    rig.control(msix.ENABLE)
    rig.msix.notify(vectors - 1)
    last = pending + (vectors - 1) // 64 * 8
    assert rig.memory.read(TABLE + last, 8) == 1 << (vectors - 1) % 64


def test_message_goes_where_the_entry_says(rig: Rig) -> None:
    rig.control(msix.ENABLE)
    rig.msix.notify(2)
    assert rig.messages == [(TARGET, 0x32)]


def test_message_to_elsewhere_is_a_write_to_memory(rig: Rig) -> None:
    ram = GuestRam(4096)
    rig.memory.map_ram(0x1000, ram)
    rig.entry(0, 0x1010, 0x55667788)
    rig.entry(1, 0xFFFFFFFFFFFFFFF0, 1)
    rig.control(msix.ENABLE)
    rig.msix.notify(0)
    rig.msix.notify(1)
    assert rig.messages == []
    assert ram.view[0x10:0x14] == b"\x88\x77\x66\x55"


def test_nothing_happens_before_the_guest_enables_it(rig: Rig) -> None:
    rig.msix.notify(0)
    assert not rig.msix.enabled
    assert (rig.messages, rig.pending()) == ([], 0)


def test_masked_entry_waits_and_is_sent_once_when_unmasked(rig: Rig) -> None:
    rig.control(msix.ENABLE)
    rig.entry(1, TARGET, 0x99, mask=1)
    rig.msix.notify(1)
    rig.msix.notify(1)
    assert (rig.messages, rig.pending()) == ([], 0b10)
    rig.memory.write(TABLE + 16 + 12, 4, 0)
    assert (rig.messages, rig.pending()) == ([(TARGET, 0x99)], 0)


def test_function_mask_holds_everything_back(rig: Rig) -> None:
    rig.control(msix.ENABLE | msix.FUNCTION_MASK)
    rig.msix.notify(3)
    rig.msix.notify(0)
    assert (rig.messages, rig.pending()) == ([], 0b1001)
    rig.control(msix.ENABLE)
    assert rig.messages == [(TARGET, 0x30), (TARGET, 0x33)]


def test_vectors_that_there_are_not_are_nobodys(rig: Rig) -> None:
    rig.control(msix.ENABLE)
    for vector in (-1, 4, 0xFFFF):
        rig.msix.notify(vector)
    assert rig.messages == []


def test_accesses_of_odd_widths_and_places_stay_inside(rig: Rig) -> None:
    before = rig.msix.save()
    for offset in (62, 64, 100, rig.pending_at - 2, rig.pending_at, rig.pending_at + 6, 4088, 4095):
        for size in (1, 2, 4, 8):
            rig.memory.read(TABLE + offset, size)
            rig.memory.write(TABLE + offset, size, 0)
    rig.memory.write(TABLE + 63, 1, 0xAB)
    after = rig.msix.save()
    assert after.pending == before.pending
    assert after.table[:62] == before.table[:62]
    assert after.table[63] == 0xAB


def test_pending_interrupts_survive_saving(rig: Rig) -> None:
    rig.control(msix.ENABLE)
    rig.entry(2, TARGET, 0x77, mask=1)
    rig.msix.notify(2)
    other = Rig()
    other.function.load(rig.function.save())
    other.msix.load(decode(MsixState, json.loads(json.dumps(encode(rig.msix.save())))))
    assert other.messages == []
    other.memory.write(TABLE + 32 + 12, 1, 0)
    assert other.messages == [(TARGET, 0x77)]


def test_loaded_table_of_another_size_is_cut_or_filled() -> None:
    rig = Rig()
    for length in (0, 7, 32768):
        rig.msix.load(MsixState(table=bytearray(length), pending=bytearray(length // 128)))
        assert (len(rig.msix.state.table), len(rig.msix.state.pending)) == (64, 8)


def test_reset_masks_every_entry_and_disables(rig: Rig) -> None:
    rig.control(msix.ENABLE)
    rig.function.reset()
    rig.msix.reset()
    rig.msix.notify(0)
    assert not rig.msix.enabled
    assert rig.messages == []
    assert all(rig.msix.masked(vector) for vector in range(4))


@pytest.mark.parametrize("vectors", [0, 2049])
def test_other_numbers_of_vectors_are_refused(vectors: int) -> None:
    with pytest.raises(ValueError, match="MSI-X has"):
        MsixTable(sample(), vectors, 1)

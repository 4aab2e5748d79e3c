"""Interrupt messages from configuration space."""

from __future__ import annotations

import json

import pytest
from tests.support.pci import PciRig, sample

from varan.core.state import decode, encode
from varan.devices.pci import msi
from varan.devices.pci import registers as r
from varan.devices.pci.function import PciFunctionState
from varan.devices.pci.msi import MsiCapability

DEVFN = 2 << 3
CAP = 0x40
TARGET = 0xFEE00000


class Rig(PciRig):
    def __init__(self, vectors: int = 4) -> None:
        super().__init__()
        self.function = sample()
        self.msi = MsiCapability(self.function, vectors)
        self.bus.attach(self.function, DEVFN)
        self.command(DEVFN, r.COMMAND_MASTER)
        self.write(DEVFN, CAP + msi.ADDRESS, 4, TARGET)
        self.write(DEVFN, CAP + msi.DATA, 2, 0x4150)

    def control(self, value: int) -> None:
        self.write(DEVFN, CAP + msi.CONTROL, 2, value)


def test_capability_offers_its_vectors_with_64_bit_addresses_and_masks() -> None:
    rig = Rig(vectors=8)
    assert rig.read(DEVFN, CAP, 4) == (msi.ADDRESS_64 | msi.MASKABLE | 3 << 1) << 16 | r.CAP_MSI
    rig.control(0xFFFF)
    assert rig.read(DEVFN, CAP + msi.CONTROL, 2) == msi.ADDRESS_64 | msi.MASKABLE | 3 << 1 | 0x71


def test_nothing_is_sent_before_the_guest_enables_it() -> None:
    rig = Rig()
    rig.msi.notify(0)
    assert not rig.msi.enabled
    assert rig.messages == []


def test_vectors_are_told_apart_as_far_as_the_guest_allotted_some() -> None:
    rig = Rig()
    rig.control(msi.ENABLE | 1 << 4)
    for vector in range(4):
        rig.msi.notify(vector)
    assert rig.messages == [(TARGET, 0x4150), (TARGET, 0x4151), (TARGET, 0x4150), (TARGET, 0x4151)]


def test_masked_vector_waits_and_is_sent_once_when_unmasked() -> None:
    rig = Rig()
    rig.control(msi.ENABLE | 2 << 4)
    rig.write(DEVFN, CAP + msi.MASK, 4, 0b100)
    rig.msi.notify(2)
    rig.msi.notify(2)
    assert rig.read(DEVFN, CAP + msi.PENDING, 4) == 0b100
    rig.write(DEVFN, CAP + msi.MASK, 4, 0)
    assert rig.messages == [(TARGET, 0x4152)]
    assert rig.read(DEVFN, CAP + msi.PENDING, 4) == 0


def test_pending_bits_cannot_be_written_by_the_guest_and_are_saved() -> None:
    rig = Rig()
    rig.control(msi.ENABLE)
    rig.write(DEVFN, CAP + msi.MASK, 4, 1)
    rig.write(DEVFN, CAP + msi.PENDING, 4, 0xF)
    assert rig.read(DEVFN, CAP + msi.PENDING, 4) == 0
    rig.msi.notify(0)
    other = Rig()
    other.function.load(decode(PciFunctionState, json.loads(json.dumps(encode(rig.function.save())))))
    other.write(DEVFN, CAP + msi.MASK, 1, 0)
    assert other.messages == [(TARGET, 0x4150)]


def test_function_that_is_no_bus_master_sends_nothing() -> None:
    rig = Rig()
    rig.control(msi.ENABLE)
    rig.command(DEVFN, 0)
    rig.msi.notify(0)
    assert rig.messages == []


@pytest.mark.parametrize("vectors", [0, 3, 64])
def test_other_numbers_of_vectors_are_refused(vectors: int) -> None:
    with pytest.raises(ValueError, match="MSI has"):
        MsiCapability(sample(), vectors)

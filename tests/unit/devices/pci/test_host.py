"""CONFIG_ADDRESS, CONFIG_DATA and the reset register between them."""

from __future__ import annotations

import pytest
from tests.support.pci import SAMPLE, PciRig, sample

from varan.devices.pci import registers as r

DEVFN = 3 << 3


@pytest.fixture
def rig() -> PciRig:
    rig = PciRig()
    rig.bus.attach(sample(), DEVFN)
    return rig


def test_address_is_latched_by_double_words_only(rig: PciRig) -> None:
    rig.ports.write(0xCF8, 4, 0xFFFFFFFF)
    assert rig.ports.read(0xCF8, 4) == 0x80FFFFFC
    rig.ports.write(0xCF8, 1, 0)
    rig.ports.write(0xCFA, 2, 0)
    assert rig.ports.read(0xCF8, 4) == 0x80FFFFFC
    assert rig.ports.read(0xCF8, 1) == 0xFF
    assert rig.ports.read(0xCFA, 2) == 0xFFFF


def test_nothing_is_reached_without_the_enable_bit(rig: PciRig) -> None:
    port = rig.select(DEVFN, r.VENDOR_ID)
    assert rig.ports.read(port, 2) == SAMPLE.vendor
    rig.ports.write(0xCF8, 4, DEVFN << 8)
    assert rig.ports.read(port, 2) == 0xFFFF


@pytest.mark.parametrize("value", [0x06, 0x04])
def test_rising_reset_bit_resets_once(rig: PciRig, value: int) -> None:
    rig.ports.write(0xCF9, 1, 0x02)
    assert rig.resets == 0
    rig.ports.write(0xCF9, 1, value)
    rig.ports.write(0xCF9, 1, value)
    assert rig.resets == 1
    assert rig.ports.read(0xCF9, 1) == value


def test_reset_register_is_reached_by_wider_accesses_that_are_no_double_words(rig: PciRig) -> None:
    rig.ports.write(0xCF8, 2, 0x0200)
    assert rig.ports.read(0xCF9, 2) == 0xFF02
    assert rig.ports.read(0xCF8, 2) == 0x02FF
    assert rig.ports.read(0xCF8, 4) == 0


def test_access_across_the_end_of_the_data_port_is_split(rig: PciRig) -> None:
    port = rig.select(DEVFN, r.SUBSYSTEM_VENDOR_ID)
    assert rig.ports.read(port + 2, 4) == 0xFFFF0000 | SAMPLE.subsystem


def test_latched_address_is_saved(rig: PciRig) -> None:
    rig.select(DEVFN, r.VENDOR_ID)
    other = PciRig()
    other.bus.attach(sample(), DEVFN)
    other.host.load(rig.host.save())
    assert other.ports.read(0xCFC, 2) == SAMPLE.vendor

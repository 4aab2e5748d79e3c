"""The floppy controller's registers and commands."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.floppy_driver import BUFFER, DIR, DOR, FIFO, HD, MSR, Disk, FloppyRig, place

from varan.core.state import decode, encode
from varan.devices.floppy.fdc_state import FdcState


@pytest.fixture
def disk() -> Disk:
    """A disk of random bytes."""
    disk = Disk()
    disk.data[:] = random.Random(1).randbytes(HD)
    return disk


@pytest.fixture
def rig(disk: Disk) -> FloppyRig:
    rig = FloppyRig(disk)
    rig.start()
    return rig


# Registers and reset


def test_leaving_reset_every_drive_is_reported_once() -> None:
    rig = FloppyRig()
    assert rig.bus.inb(MSR) == 0, "in reset"
    rig.bus.outb(DOR, 0x0C)
    assert rig.line.level == 1
    assert [rig.command(0x08) for _ in range(4)] == [[0xC0, 0], [0xC1, 0], [0xC2, 0], [0xC3, 0]]
    assert rig.line.level == 0
    assert rig.command(0x08) == [0x80]


def test_a_reset_by_the_data_rate_register_does_the_same(rig: FloppyRig) -> None:
    rig.send(0x0F, 0)
    rig.bus.outb(MSR, 0x80)
    assert rig.bus.inb(MSR) == 0x80, "it is ready for a command"
    assert rig.line.level == 1
    assert rig.command(0x08) == [0xC0, 0]


def test_the_interrupt_reaches_the_pc_only_through_its_gate() -> None:
    rig = FloppyRig()
    rig.bus.outb(DOR, 0x04)
    assert rig.line.level == 0
    rig.bus.outb(DOR, 0x0C)
    assert rig.line.level == 1


def test_without_polling_a_reset_is_silent(rig: FloppyRig) -> None:
    rig.command(0x13, 0, 0x10, 0)
    assert rig.command(0x94) == [0x10]
    rig.bus.outb(DOR, 0x08)
    rig.bus.outb(DOR, 0x0C)
    assert rig.line.level == 0
    assert rig.command(0x08) == [0x80]


def test_configuration_survives_a_reset_only_when_locked(rig: FloppyRig) -> None:
    for locked in (True, False):
        rig.command(0x13, 0, 0x57, 9)
        rig.command(0x94 if locked else 0x14)
        rig.bus.outb(DOR, 0x08)
        rig.bus.outb(DOR, 0x0C)
        kept = rig.command(0x0E)
        assert kept[-2:] == ([0x57, 9] if locked else [0, 0])
        assert kept[7] == locked << 7


def test_what_it_is(rig: FloppyRig) -> None:
    assert rig.command(0x10) == [0x90]
    assert rig.command(0x18) == [0x80], "the part id is a later chip's"
    rig.seek(5)
    rig.command(0x12, 0x85)
    assert rig.command(0x0E) == [5, 0, 0, 0, 0xAF, 0x02, 0, 0x05, 0, 0]


def test_the_change_line_falls_when_heads_move_over_a_disk(rig: FloppyRig, disk: Disk) -> None:
    assert rig.bus.inb(DIR) == 0x80
    rig.seek(0)
    assert rig.bus.inb(DIR) == 0x80, "no step, no news"
    rig.seek(1)
    assert rig.bus.inb(DIR) == 0
    disk.present = False
    rig.fdc.disk_changed(0)
    rig.seek(2)
    assert rig.bus.inb(DIR) == 0x80, "there is no disk"
    disk.present = True
    rig.seek(1)
    assert rig.bus.inb(DIR) == 0


def test_only_a_drive_whose_motor_runs_shows_its_change_line(rig: FloppyRig) -> None:
    for value, changed in ((0x0C, 0), (0x1C, 0x80), (0x1D, 0), (0x3D, 0)):
        rig.bus.outb(DOR, value)
        assert rig.bus.inb(DIR) == changed


# Heads


def test_seeks_end_with_an_interrupt_that_tells_where(rig: FloppyRig) -> None:
    rig.send(0x0F, 4, 12)
    assert rig.line.level == 1
    assert rig.bus.inb(MSR) == 0x81, "the drive is busy until somebody asks"
    assert rig.command(0x08) == [0x24, 12]
    assert rig.line.level == 0
    assert rig.bus.inb(MSR) == 0x80
    rig.send(0x07, 0)
    assert rig.command(0x08) == [0x20, 0]


def test_a_drive_that_is_not_there_finds_no_track_0(rig: FloppyRig) -> None:
    rig.send(0x07, 1)
    assert rig.command(0x08) == [0x71, 0]


def test_relative_seeks(rig: FloppyRig) -> None:
    rig.seek(10)
    rig.send(0xCF, 0, 5)
    assert rig.command(0x08) == [0x20, 15]
    rig.send(0x8F, 0, 3)
    assert rig.command(0x08) == [0x20, 12]


def test_drive_status(rig: FloppyRig, disk: Disk) -> None:
    assert rig.command(0x04, 0) == [0x38]
    rig.seek(3)
    disk.read_only = True
    assert rig.command(0x04, 4) == [0x6C]
    assert rig.command(0x04, 1) == [0x29]


def test_read_id_tells_what_passes_under_the_heads(rig: FloppyRig) -> None:
    rig.seek(7)
    found = [rig.command(0x4A, 4) for _ in range(18)]
    assert {(*result[:5], result[6]) for result in found} == {(4, 0, 0, 7, 1, 2)}
    assert {result[5] for result in found} == set(range(1, 19))


@pytest.mark.parametrize(
    ("length", "kind", "rate"),
    [(HD, "144", 0), (720 << 10, "144", 2), (2880 << 10, "288", 3), (HD, "288", 0), (360 << 10, "120", 1)],
)
def test_a_disk_is_found_at_its_own_rate(length: int, kind: str, rate: int) -> None:
    for tried in range(4):
        rig = FloppyRig(Disk(length, kind))
        rig.start(rate=tried)
        result = rig.command(0x4A, 0)
        assert (result[0] & 0xC0, result[1]) == ((0, 0) if tried == rate else (0x40, 0x01))


# Data


def test_sectors_are_read_into_memory(rig: FloppyRig, disk: Disk) -> None:
    rig.seek(2)
    results, data = rig.read(2, 1, 3, 1024)
    assert data == disk.data[place(2, 1, 3) :][:1024]
    assert results == [4, 0, 0, 2, 1, 5, 2]
    assert rig.line.rises == 3, "reset, seek, read"
    assert rig.line.level == 0


def test_both_sides_in_one_command(rig: FloppyRig, disk: Disk) -> None:
    results, data = rig.read(0, 0, 1, 36 * 512)
    assert data == disk.data[: 36 * 512]
    assert results == [0, 0, 0, 1, 0, 1, 2]
    results, data = rig.read(0, 0, 17, 4 * 512)
    assert data == disk.data[16 * 512 :][:2048]
    assert results == [4, 0, 0, 0, 1, 3, 2]


def test_a_terminal_count_within_a_sector_ends_after_it(rig: FloppyRig, disk: Disk) -> None:
    results, data = rig.read(0, 0, 1, 700)
    assert data == disk.data[:700]
    assert results == [0, 0, 0, 0, 0, 3, 2]


def test_without_a_terminal_count_the_cylinder_ends(rig: FloppyRig, disk: Disk) -> None:
    results, data = rig.read(0, 0, 17, 8192, first=0x46)
    assert results == [0x40, 0x80, 0, 1, 0, 1, 2]
    assert data[:1024] == disk.data[16 * 512 :][:1024]


def test_data_are_written(rig: FloppyRig, disk: Disk) -> None:
    rig.seek(79)
    data = random.Random(2).randbytes(36 * 512)
    assert rig.write(79, 0, 1, data) == [0, 0, 0, 80, 0, 1, 2]
    assert disk.data[place(79, 0, 1) :] == data
    assert rig.write(79, 0, 4, b"end") == [0, 0, 0, 79, 0, 5, 2]
    assert disk.data[place(79, 0, 4) :][:512] == b"end" + bytes(509), "the rest of the sector is zeros"
    assert disk.data[place(79, 0, 5) :][:512] == data[4 * 512 :][:512]


def test_a_track_is_formatted(rig: FloppyRig, disk: Disk) -> None:
    rig.seek(3)
    ids = b"".join(bytes([3, 1, sector, 2]) for sector in (1, 3, 2, 19, 200))
    rig.ram.view[BUFFER : BUFFER + len(ids)] = ids
    before = bytes(disk.data)
    rig.arm(len(ids), 0x4A)
    assert rig.command(0x4D, 4, 2, 5, 0x54, 0xF6)[:3] == [4, 0, 0]
    assert disk.data[place(3, 1, 1) :][: 3 * 512] == b"\xf6" * 3 * 512
    assert disk.data[: place(3, 1, 1)] == before[: place(3, 1, 1)]
    assert disk.data[place(3, 1, 4) :] == before[place(3, 1, 4) :]


def test_formatting_as_many_sectors_as_can_be_named(rig: FloppyRig, disk: Disk) -> None:
    rig.ram.view[BUFFER : BUFFER + 1020] = bytes([0, 0, 1, 2]) * 255
    rig.arm(1020, 0x4A)
    assert rig.command(0x4D, 0, 2, 255, 0x54, 0xE5)[:3] == [0, 0, 0]
    assert disk.data[:512] == b"\xe5" * 512


def test_verify_reads_and_tells_nobody(rig: FloppyRig, disk: Disk) -> None:
    assert rig.command(0x56, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF) == [0, 0, 0, 1, 0, 1, 2]
    assert rig.command(0xF6, 0x80, 0, 0, 17, 2, 18, 0x1B, 4) == [4, 0, 0, 0, 1, 3, 2]
    disk.broken = True
    assert rig.command(0x56, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)[:3] == [0x40, 0x20, 0x20]


def test_read_track_begins_at_its_first_sector(rig: FloppyRig, disk: Disk) -> None:
    results, data = rig.read(0, 1, 9, 1024, first=0x42)
    assert data == disk.data[place(0, 1, 1) :][:1024]
    assert results[:3] == [4, 0, 0]


def test_a_seek_may_be_implied(rig: FloppyRig, disk: Disk) -> None:
    rig.command(0x13, 0, 0x40, 0)
    results, data = rig.read(40, 0, 1, 512)
    assert data == disk.data[place(40, 0, 1) :][:512]
    assert results[:3] == [0, 0, 0]


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ((0xE6, 0, 1, 0, 1, 2, 18, 0x1B, 0xFF), [0x40, 0x04, 0x10]),
        ((0xE6, 0, 0, 0, 19, 2, 19, 0x1B, 0xFF), [0x40, 0x04, 0]),
        ((0xE6, 0, 0, 0, 0, 2, 18, 0x1B, 0xFF), [0x40, 0x04, 0]),
        ((0xE6, 0, 0, 0, 1, 3, 18, 0x1B, 0xFF), [0x40, 0x04, 0]),
        ((0xE6, 1, 0, 0, 1, 2, 18, 0x1B, 0xFF), [0x41, 0x01, 0]),
        ((0x4D, 0, 3, 18, 0x54, 0xF6), [0x40, 0x04, 0]),
        ((0x4D, 0, 2, 0, 0x54, 0xF6), [0x40, 0x04, 0]),
        ((0x4A, 1), [0x41, 0x01, 0]),
    ],
)
def test_what_is_not_there_is_reported(rig: FloppyRig, command: tuple[int, ...], status: list[int]) -> None:
    rig.arm(512, 0x46)
    assert rig.command(*command)[:3] == status
    assert rig.line.rises == 2


def test_a_track_that_ends_before_the_last_sector_that_was_named(rig: FloppyRig) -> None:
    assert rig.read(0, 0, 18, 4096, last=30)[0][:3] == [0x40, 0x04, 0]


def test_protected_broken_and_missing_disks(rig: FloppyRig, disk: Disk) -> None:
    disk.read_only = True
    assert rig.write(0, 0, 1, bytes(512))[:3] == [0x40, 0x02, 0]
    assert rig.command(0x4D, 0, 2, 18, 0x54, 0xF6)[:3] == [0x40, 0x02, 0]
    disk.broken, disk.read_only = True, False
    assert rig.read(0, 0, 1, 512)[0][:3] == [0x40, 0x20, 0x20]
    assert rig.write(0, 0, 1, bytes(512))[:3] == [0x40, 0x20, 0x20]
    disk.present = False
    assert rig.read(0, 0, 1, 512)[0][:3] == [0x40, 0x01, 0]


# Ways of data


def test_a_transfer_waits_for_its_dma_channel(rig: FloppyRig, disk: Disk) -> None:
    rig.bus.outb(0x0A, 6)
    rig.send(0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    assert rig.bus.inb(MSR) == 0x10
    rig.arm(512, 0x46)
    assert rig.results()[:3] == [0, 0, 0]
    assert rig.ram.view[BUFFER : BUFFER + 512] == disk.data[:512]


def test_no_request_passes_the_shut_gate(rig: FloppyRig) -> None:
    rig.arm(512, 0x46)
    rig.bus.outb(DOR, 0x34)
    rig.send(0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    assert rig.bus.inb(MSR) == 0x10
    rig.bus.outb(DOR, 0x3C)
    assert rig.results()[:3] == [0, 0, 0]


def test_a_slow_disk_is_waited_for(rig: FloppyRig, disk: Disk) -> None:
    disk.later = True
    rig.arm(36 * 512, 0x46)
    rig.send(0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    for _ in range(2):
        assert rig.bus.inb(MSR) == 0x10
        disk.answer()
    assert rig.results() == [0, 0, 0, 1, 0, 1, 2]
    assert rig.ram.view[BUFFER : BUFFER + 36 * 512] == disk.data[: 36 * 512]


def test_an_answer_after_a_reset_is_nobodys(rig: FloppyRig, disk: Disk) -> None:
    disk.later = True
    rig.arm(512, 0x46)
    rig.send(0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    rig.bus.outb(DOR, 0x08)
    rig.bus.outb(DOR, 0x3C)
    disk.answer()
    assert rig.bus.inb(MSR) == 0x80
    assert not any(rig.ram.view[BUFFER : BUFFER + 512])


def test_without_dma_bytes_go_through_the_fifo(disk: Disk) -> None:
    rig = FloppyRig(disk)
    rig.start(dma=False)
    rig.send(0x46, 0, 0, 0, 17, 2, 18, 0x1B, 0xFF)
    found = bytearray()
    while rig.bus.inb(MSR) & 0x20:
        assert rig.bus.inb(MSR) == 0xF0
        assert rig.line.level == (len(found) % 512 == 0), "an interrupt for each sector"
        found.append(rig.bus.inb(FIFO))
    assert found == disk.data[16 * 512 :][:1024]
    assert rig.results() == [0x40, 0x80, 0, 1, 0, 1, 2], "only the end of the cylinder ends it"
    rig.send(0x45, 0, 0, 0, 18, 2, 18, 0x1B, 0xFF)
    sent = 0
    while rig.bus.inb(MSR) & 0x20:
        assert rig.bus.inb(MSR) == 0xB0
        rig.bus.outb(FIFO, sent & 0xFF)
        sent += 1
    assert sent == 512
    assert rig.results()[:2] == [0x40, 0x80]
    assert disk.data[17 * 512 :][:512] == bytes(range(256)) * 2


# State


@pytest.mark.parametrize("answers", range(3))
@pytest.mark.parametrize("write", [False, True])
def test_a_transfer_goes_on_where_it_was_saved(disk: Disk, write: bool, answers: int) -> None:
    rig = FloppyRig(disk)
    rig.start()
    disk.later = True
    data = random.Random(3).randbytes(36 * 512)
    rig.ram.view[BUFFER : BUFFER + len(data)] = data
    rig.arm(36 * 512, 0x4A if write else 0x46)
    rig.send(0xC5 if write else 0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    for _ in range(min(answers, 1)):
        disk.answer()
    other = FloppyRig(disk)
    other.ram.view[:] = rig.ram.view[:]
    disk.later = False
    other.dma.load(rig.dma.save())
    other.fdc.load(decode(FdcState, encode(rig.fdc.save())))
    assert other.results() == [0, 0, 0, 1, 0, 1, 2]
    if write:
        assert disk.data[: 36 * 512] == data
    else:
        assert other.ram.view[BUFFER : BUFFER + 36 * 512] == disk.data[: 36 * 512]


def test_a_transfer_does_not_go_on_with_another_disk(rig: FloppyRig, disk: Disk) -> None:
    disk.later = True
    rig.arm(512, 0x46)
    rig.send(0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    saved = rig.fdc.save()
    other = FloppyRig()
    other.fdc.mechanisms.clear()
    other.fdc.load(saved)
    assert other.results()[:3] == [0x40, 0x01, 0]


# Whatever a guest does

COMMANDS = st.sampled_from(
    [0xE6, 0x46, 0xC5, 0x4D, 0x56, 0xF6, 0x42, 0x4A, 0x07, 0x08, 0x0F, 0x8F, 0x03, 0x04, 0x13, 0x0E]
)
ACTS = st.one_of(
    st.tuples(st.just("command"), COMMANDS, st.lists(st.integers(0, 40), min_size=8, max_size=8)),
    st.tuples(st.just("out"), st.sampled_from([DOR, MSR, FIFO, DIR]), st.integers(0, 255)),
    st.tuples(st.just("in"), st.sampled_from([DOR, MSR, FIFO, DIR]), st.integers(1, 600)),
    st.tuples(st.just("arm"), st.integers(1, 65536), st.sampled_from([0x46, 0x4A, 0x56, 0x5A, 0x42])),
    st.tuples(st.just("answer"), st.just(0), st.just(0)),
    st.tuples(st.just("load"), st.just(0), st.just(0)),
)


def act(rig: FloppyRig, disk: Disk, kind: str, first: int, second: Any) -> None:
    if kind == "command":
        rig.bus.outb(FIFO, first, *second)
    elif kind == "out":
        rig.bus.outb(first, second)
    elif kind == "in":
        for _ in range(second):
            assert 0 <= rig.bus.inb(first) <= 255
    elif kind == "arm":
        rig.arm(first, second)
    elif kind == "answer" and disk.asked:
        disk.answer()
    elif kind == "load":
        rig.dma.load(rig.dma.save())
        rig.fdc.load(decode(FdcState, encode(rig.fdc.save())))


@settings(max_examples=300, deadline=None)
@given(st.lists(ACTS, max_size=60), st.booleans(), st.booleans())
def test_nothing_that_a_guest_does_is_too_much(acts: list[Any], later: bool, dma: bool) -> None:
    disk = Disk()
    disk.later = later
    rig = FloppyRig(disk)
    rig.start(dma=dma)
    for one in acts:
        act(rig, disk, *one)
    rig.bus.outb(DOR, 0x08)
    rig.bus.outb(DOR, 0x0C)
    assert rig.bus.inb(MSR) == 0x80

"""The balloon, against a model of a driver."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from tests.support.bus import Bus
from tests.support.virtio_driver import Buffers, CountingTransport, GuestMemory, chain, start

from varan.core.clock import NANOSECONDS, ManualClock
from varan.core.state import decode, encode
from varan.devices.virtio import balloon as b
from varan.devices.virtio.device import NEEDS_RESET
from varan.devices.virtio.features import DEFAULT, RING_PACKED

ALL = DEFAULT | RING_PACKED | b.F_STATS_VQ | b.F_PAGE_POISON | b.F_PAGE_REPORTING | b.F_DEFLATE_ON_OOM
FEATURES = [ALL, ALL & ~RING_PACKED, b.F_STATS_VQ, 0]
PAGE = 4096
FIRST_FREE = 512
"""Number of a page that the driver model does not use."""


class Guest:
    """A guest with the device, started."""

    def __init__(self, features: int = ALL, memory: GuestMemory | None = None) -> None:
        self.bus = Bus()
        self.memory = memory or GuestMemory()
        self.changes: list[int] = []
        self.host = ManualClock(1_700_000_000 * NANOSECONDS)
        self.balloon = b.VirtioBalloon(
            self.memory.space, self.bus.clock, self.bus.timers, self.host, self.changes.append, features=features
        )
        self.transport = self.balloon.transport = CountingTransport()
        self.features = features

    def start(self, accepted: int | None = None) -> Guest:
        self.queues = start(self.balloon, self.memory, self.features if accepted is None else accepted)
        return self

    def fill(self, *pages: int) -> None:
        for page in pages:
            self.memory.write(page * PAGE, b"\x5a" * PAGE)

    def filled(self, *pages: int) -> list[bool]:
        contents = [self.memory.read(page * PAGE, PAGE) for page in pages]
        assert all(content in (b"\x5a" * PAGE, bytes(PAGE)) for content in contents)
        return [content[0] == 0x5A for content in contents]

    def give(self, queue: int, *pages: int) -> None:
        self.offer(queue, chain(self.memory, [struct.pack(f"<{len(pages)}I", *pages)], []))

    def offer(self, queue: int, buffers: Buffers) -> None:
        assert self.queues[queue].add(buffers)
        if self.queues[queue].must_kick():
            self.balloon.kick(queue)

    def tell(self, *values: tuple[int, int]) -> Buffers:
        """Make a buffer of statistics available."""
        data = b"".join(b.STATISTIC.pack(tag, value % (1 << 64)) for tag, value in values)
        buffers = chain(self.memory, [data], [])
        self.offer(b.STATISTICS, buffers)
        return buffers


@pytest.fixture(params=FEATURES)
def guest(request: pytest.FixtureRequest) -> Guest:
    return Guest(request.param).start()


def test_pages_in_the_balloon_go_to_the_host_and_come_back_zeroed(guest: Guest) -> None:
    pages = range(FIRST_FREE, FIRST_FREE + 8)
    guest.fill(*pages)
    guest.give(b.INFLATE, FIRST_FREE + 1, FIRST_FREE + 5, FIRST_FREE + 2, FIRST_FREE + 1)
    assert guest.filled(*pages) == [True, False, False, True, True, False, True, True]
    assert [written for _, written in guest.queues[b.INFLATE].collect()] == [0]
    guest.give(b.DEFLATE, FIRST_FREE + 1)
    assert [written for _, written in guest.queues[b.DEFLATE].collect()] == [0]
    guest.fill(FIRST_FREE + 1)
    assert guest.filled(FIRST_FREE + 1) == [True]


def test_others_hear_that_memory_has_changed(guest: Guest) -> None:
    told: list[tuple[int, int]] = []
    guest.memory.space.on_ram_written(lambda address, length: told.append((address, length)))
    guest.give(b.INFLATE, FIRST_FREE, FIRST_FREE + 1, FIRST_FREE + 2)
    assert (FIRST_FREE * PAGE, 3 * PAGE) in told


def test_page_numbers_without_memory_are_passed_over(guest: Guest) -> None:
    guest.fill(FIRST_FREE, 1023)
    guest.give(b.INFLATE, 0xFFFFFFFF, FIRST_FREE, 1023, 1024, 0xFFFFF)
    assert guest.filled(FIRST_FREE, 1023) == [False, False]
    assert not guest.balloon.broken


def test_an_odd_tail_of_a_buffer_is_no_page_number(guest: Guest) -> None:
    guest.fill(FIRST_FREE, 0x201)
    guest.offer(b.INFLATE, chain(guest.memory, [struct.pack("<I", FIRST_FREE) + b"\x01\x02"], []))
    assert guest.filled(FIRST_FREE, 0x201) == [False, True]


def test_a_chain_of_absurdly_many_page_numbers_breaks_the_device(guest: Guest) -> None:
    guest.offer(b.INFLATE, Buffers([(0x1000, 1 << 20, False)]))
    assert guest.balloon.broken
    assert guest.balloon.status & NEEDS_RESET


def test_the_driver_says_how_large_the_balloon_is(guest: Guest) -> None:
    for position, byte in enumerate(struct.pack("<I", 0x1234)):
        guest.balloon.write_config(b.ACTUAL_OFFSET + position, bytes([byte]))
    assert guest.changes == [0x34, 0x1234]
    guest.balloon.write_config(b.ACTUAL_OFFSET, struct.pack("<I", 0x1234))
    assert guest.changes == [0x34, 0x1234]
    assert guest.balloon.read_config(b.ACTUAL_OFFSET, 4) == 0x1234


def test_the_driver_cannot_write_what_it_is_asked_for_nor_behind_the_end(guest: Guest) -> None:
    guest.balloon.set_target(7)
    guest.balloon.write_config(0, struct.pack("<I", 99))
    guest.balloon.write_config(14, bytes(100))
    guest.balloon.write_config(4000, b"\xff")
    assert guest.balloon.read_config(0, 4) == 7


def test_a_new_target_is_announced(guest: Guest) -> None:
    guest.balloon.set_target(100)
    assert guest.transport.config == 1
    assert guest.balloon.read_config(0, 4) == 100
    guest.balloon.set_target(100)
    assert guest.transport.config == 1


def test_after_a_reset_the_guest_has_all_its_memory_and_is_asked_again(guest: Guest) -> None:
    guest.balloon.set_target(100)
    guest.balloon.write_config(b.ACTUAL_OFFSET, struct.pack("<I", 100))
    guest.balloon.set_status(0)
    assert (guest.balloon.read_config(0, 4), guest.balloon.read_config(4, 4)) == (100, 0)


class TestReporting:
    @pytest.fixture
    def guest(self) -> Guest:
        return Guest(ALL).start()

    def test_free_pages_go_to_the_host_whole_ones_only(self, guest: Guest) -> None:
        pages = range(FIRST_FREE, FIRST_FREE + 6)
        guest.fill(*pages)
        start = FIRST_FREE * PAGE
        ranges = [(start, 2 * PAGE, True), (start + 2 * PAGE + 1, PAGE, True), (start + 4 * PAGE - 1, PAGE + 1, True)]
        guest.offer(b.REPORTING, Buffers(ranges))
        assert guest.filled(*pages) == [False, False, True, True, False, True]
        assert len(guest.queues[b.REPORTING].collect()) == 1

    def test_poisoned_pages_keep_what_is_in_them(self, guest: Guest) -> None:
        guest.fill(FIRST_FREE)
        guest.balloon.write_config(b.POISON_OFFSET, struct.pack("<I", 0xAAAAAAAA))
        guest.offer(b.REPORTING, Buffers([(FIRST_FREE * PAGE, PAGE, True)]))
        assert guest.filled(FIRST_FREE) == [True]

    def test_without_the_feature_there_is_no_queue(self) -> None:
        assert len(Guest(ALL & ~b.F_PAGE_REPORTING).balloon.queues) == b.REPORTING


class TestStatistics:
    @pytest.fixture(params=[f for f in FEATURES if f & b.F_STATS_VQ])
    def guest(self, request: pytest.FixtureRequest) -> Guest:
        return Guest(request.param).start()

    def test_what_the_guest_says_is_kept_with_the_time_and_its_buffer_held(self, guest: Guest) -> None:
        guest.tell((4, 1 << 30), (5, 2 << 30), (0, -1))
        assert guest.balloon.statistics == {4: 1 << 30, 5: 2 << 30, 0: -1}
        assert guest.balloon.state.last_update == 1_700_000_000
        guest.bus.run(100 * NANOSECONDS)
        assert guest.queues[b.STATISTICS].collect() == []

    def test_asked_regularly_the_guest_gets_its_buffer_back(self, guest: Guest) -> None:
        buffers = guest.tell((4, 1))
        guest.balloon.set_interval(3)
        guest.bus.run(3 * NANOSECONDS - 1)
        assert guest.queues[b.STATISTICS].collect() == []
        guest.bus.run(1)
        assert guest.queues[b.STATISTICS].collect() == [(buffers, 0)]
        assert guest.transport.used == [b.STATISTICS]
        guest.tell((4, 2))
        assert guest.balloon.statistics == {4: 2}
        guest.balloon.set_interval(0)
        guest.bus.run(100 * NANOSECONDS)
        assert guest.queues[b.STATISTICS].collect() == []

    def test_a_second_buffer_sends_the_first_one_back(self, guest: Guest) -> None:
        first = guest.tell((4, 1))
        guest.tell((4, 2))
        assert guest.queues[b.STATISTICS].collect() == [(first, 0)]

    def test_a_flood_of_tags_is_bounded(self, guest: Guest) -> None:
        guest.tell(*[(tag, tag) for tag in range(1000)])
        assert len(guest.balloon.statistics) == b.MOST_STATISTICS

    def test_a_reset_lets_go_of_the_buffer(self, guest: Guest) -> None:
        guest.tell((4, 1))
        guest.balloon.set_status(0)
        assert guest.balloon.status == 0
        guest.start()
        buffers = guest.tell((4, 2))
        guest.balloon.set_interval(1)
        guest.bus.run(NANOSECONDS)
        assert guest.queues[b.STATISTICS].collect() == [(buffers, 0)]

    def test_saved_and_loaded_the_buffer_is_held_on(self, guest: Guest) -> None:
        buffers = guest.tell((4, 1), (0, -1))
        other = Guest(guest.features, guest.memory)
        state: Any = decode(b.BalloonState, json.loads(json.dumps(encode(guest.balloon.save()))))
        other.balloon.load(state)
        assert other.balloon.statistics == {4: 1, 0: -1}
        other.balloon.set_interval(1)
        other.bus.run(NANOSECONDS)
        assert guest.queues[b.STATISTICS].collect() == [(buffers, 0)]


def test_an_old_driver_without_features_inflates(guest: Guest) -> None:
    old = Guest(ALL).start(0)
    old.fill(FIRST_FREE)
    old.give(b.INFLATE, FIRST_FREE)
    assert old.filled(FIRST_FREE) == [False]

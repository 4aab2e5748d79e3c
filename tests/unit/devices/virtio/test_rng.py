"""The entropy device, against a model of a driver and a source that the test controls."""

from __future__ import annotations

import json

import pytest
from tests.support.bus import Bus
from tests.support.virtio_driver import Buffers, CountingTransport, GuestMemory, chain, connect, make_queue, start

from varan.core.state import decode, encode
from varan.devices.virtio.device import NEEDS_RESET
from varan.devices.virtio.features import DEFAULT, RING_PACKED
from varan.devices.virtio.rng import MILLISECOND, VirtioRng

FEATURES = [DEFAULT, DEFAULT | RING_PACKED, 0]


class Guest:
    """A guest with the device, started."""

    def __init__(self, features: int = DEFAULT, *, memory: GuestMemory | None = None, **limits: int) -> None:
        self.bus = Bus()
        self.memory = memory or GuestMemory()
        self.asked: list[int] = []
        self.features = features
        self.rng = VirtioRng(
            self.memory.space, self.bus.clock, self.bus.timers, self.asked.append, features=features, **limits
        )
        self.transport = self.rng.transport = CountingTransport()

    def start(self) -> None:
        self.queue = start(self.rng, self.memory, self.features)[0]

    def offer(self, *lengths: int) -> Buffers:
        buffers = chain(self.memory, [], list(lengths))
        assert self.queue.add(buffers)
        if self.queue.must_kick():
            self.rng.kick(0)
        return buffers


@pytest.fixture(params=FEATURES)
def guest(request: pytest.FixtureRequest) -> Guest:
    made = Guest(request.param)
    made.start()
    return made


def test_a_buffer_is_filled_with_what_the_source_gives(guest: Guest) -> None:
    buffers = guest.offer(10, 20)
    assert guest.asked == [30]
    assert guest.queue.collect() == []
    guest.rng.deliver(bytes(range(30)))
    assert guest.queue.collect() == [(buffers, 30)]
    assert buffers.answer(guest.memory) == bytes(range(30))
    assert guest.transport.used == [0]


def test_a_source_that_gives_less_fills_less(guest: Guest) -> None:
    buffers = guest.offer(64)
    guest.rng.deliver(b"\xaa" * 5)
    assert guest.queue.collect() == [(buffers, 5)]


def test_buffers_are_filled_one_after_the_other(guest: Guest) -> None:
    first, second = guest.offer(8), guest.offer(16)
    assert guest.asked == [8]
    guest.rng.deliver(bytes(8))
    assert guest.asked == [8, 16]
    guest.rng.deliver(bytes(16))
    assert guest.queue.collect() == [(first, 8), (second, 16)]


def test_after_a_failure_of_the_source_the_next_doorbell_asks_again(guest: Guest) -> None:
    first = guest.offer(8)
    guest.rng.deliver(b"")
    assert guest.asked == [8]
    second = guest.offer(4)
    assert guest.asked == [8, 8]
    guest.rng.deliver(bytes(8))
    guest.rng.deliver(bytes(4))
    assert guest.queue.collect() == [(first, 8), (second, 4)]


def test_buffers_without_room_come_back_empty(guest: Guest) -> None:
    buffers = chain(guest.memory, [b"what is this"], [])
    guest.queue.add(buffers)
    filled = guest.offer(4)
    guest.rng.deliver(b"abcd")
    assert guest.queue.collect() == [(buffers, 0), (filled, 4)]


def test_a_reset_while_the_source_is_asked_is_over_at_once(guest: Guest) -> None:
    guest.offer(8)
    guest.rng.set_status(0)
    assert guest.rng.status == 0
    guest.rng.deliver(bytes(8))
    guest.start()
    buffers = guest.offer(4)
    guest.rng.deliver(bytes(4))
    assert guest.queue.collect() == [(buffers, 4)]


def test_a_buffer_outside_memory_breaks_the_device(guest: Guest) -> None:
    guest.queue.add(Buffers([(1 << 40, 64, True)]))
    guest.rng.kick(0)
    assert guest.rng.status & NEEDS_RESET
    assert guest.asked == []


class TestRateLimit:
    """At most 100 bytes in ten milliseconds."""

    @pytest.fixture
    def guest(self) -> Guest:
        made = Guest(max_bytes=100, period=10)
        made.start()
        return made

    def test_no_more_is_given_in_a_period(self, guest: Guest) -> None:
        first, second, third = guest.offer(60), guest.offer(60), guest.offer(60)
        guest.rng.deliver(bytes(60))
        assert guest.asked == [60, 40]
        guest.rng.deliver(bytes(60))
        assert guest.queue.collect() == [(first, 60), (second, 40)]
        guest.bus.run(10 * MILLISECOND - 1)
        assert guest.asked == [60, 40]
        guest.bus.run(1)
        assert guest.asked == [60, 40, 60]
        guest.rng.deliver(bytes(60))
        assert guest.queue.collect() == [(third, 60)]

    def test_saved_and_loaded_the_period_goes_on(self, guest: Guest) -> None:
        guest.offer(100)
        guest.rng.deliver(bytes(100))
        waiting = guest.offer(50)
        guest.bus.run(4 * MILLISECOND)
        other = Guest(memory=guest.memory, max_bytes=100, period=10)
        other.bus.clock.advance(guest.bus.clock.now())
        state = decode(guest.rng.state_type, json.loads(json.dumps(encode(guest.rng.save()))))
        other.rng.load(state)
        other.bus.run(6 * MILLISECOND - 1)
        assert other.asked == []
        other.bus.run(1)
        assert other.asked == [50]
        other.rng.deliver(bytes(50))
        assert [buffers for buffers, _ in guest.queue.collect()][-1] is waiting


@pytest.mark.parametrize("features", FEATURES)
def test_saved_while_the_source_is_asked_the_loaded_one_asks_for_the_same_buffer(features: int) -> None:
    guest = Guest(features)
    guest.start()
    first, second = guest.offer(8), guest.offer(4)
    other = Guest(features, memory=guest.memory)
    other.rng.load(guest.rng.save())
    assert other.asked == [8]
    other.rng.deliver(bytes(8))
    other.rng.deliver(bytes(4))
    assert guest.queue.collect() == [(first, 8), (second, 4)]


def test_a_queue_that_comes_after_the_driver_is_ready_works() -> None:
    guest = Guest(0)
    guest.start()
    guest.queue = make_queue(guest.memory, 4, 0)
    connect(guest.rng, 0, guest.queue)
    guest.offer(4)
    assert guest.asked == [4]

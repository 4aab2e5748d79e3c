"""Virtqueues of both layouts, against a driver's model."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.virtio_driver import (
    NEXT,
    CountingTransport,
    GuestMemory,
    SplitDriver,
    chain,
    start,
)
from tests.support.virtio_echo import Echo

from varan.core.state import decode, encode
from varan.devices.virtio.device import NEEDS_RESET, VirtioState
from varan.devices.virtio.features import RING_EVENT_IDX, RING_INDIRECT_DESC, RING_PACKED

SPLIT = RING_INDIRECT_DESC
PACKED = RING_INDIRECT_DESC | RING_PACKED
LAYOUTS = pytest.mark.parametrize(
    "features",
    [
        pytest.param(SPLIT, id="split"),
        pytest.param(SPLIT | RING_EVENT_IDX, id="split-event-index"),
        pytest.param(PACKED, id="packed"),
        pytest.param(PACKED | RING_EVENT_IDX, id="packed-event-index"),
    ],
)


def interrupts(device: Echo) -> CountingTransport:
    assert isinstance(device.transport, CountingTransport)
    return device.transport


@pytest.fixture
def memory() -> GuestMemory:
    return GuestMemory()


@LAYOUTS
@pytest.mark.parametrize("indirect", [False, True])
def test_chains_reach_the_device_and_come_back(memory: GuestMemory, features: int, indirect: bool) -> None:
    device = Echo(memory.space)
    (driver,) = start(device, memory, features)
    for round in range(20):
        text = [b"abc%d" % round, b"de"]
        assert driver.add(chain(memory, text, [2, 100]), indirect=indirect)
        device.kick(0)
        device.answer()
        ((buffers, written),) = driver.collect()
        expected = b"".join(text)[::-1]
        assert written == len(expected)
        assert buffers.answer(memory)[:written] == expected


@LAYOUTS
def test_chains_may_come_back_in_another_order(memory: GuestMemory, features: int) -> None:
    device = Echo(memory.space)
    (driver,) = start(device, memory, features)
    for text in (b"one", b"two", b"three"):
        driver.add(chain(memory, [text], [5]))
    device.kick(0)
    for position in (1, 1, 0):
        device.answer(position)
    assert [buffers.answer(memory)[:count] for buffers, count in driver.collect()] == [b"owt", b"eerht", b"eno"]


@LAYOUTS
def test_a_driver_that_wants_no_interrupt_gets_none(memory: GuestMemory, features: int) -> None:
    device = Echo(memory.space)
    (driver,) = start(device, memory, features)
    driver.suppress(interrupts=True)
    driver.add(chain(memory, [b"x"], [1]))
    device.kick(0)
    device.answer()
    assert interrupts(device).used == []
    driver.collect()
    driver.suppress(interrupts=False)
    driver.add(chain(memory, [b"x"], [1]))
    device.kick(0)
    device.answer()
    assert interrupts(device).used == [0]


@LAYOUTS
def test_several_chains_given_back_together_interrupt_once(memory: GuestMemory, features: int) -> None:
    device = Echo(memory.space)
    (driver,) = start(device, memory, features)
    driver.suppress(interrupts=False)
    for _ in range(3):
        driver.add(chain(memory, [b"x"], [1]))
    device.kick(0)
    for found in device.kept:
        device.queue.push(found, 0)
    device.queue.notify()
    device.queue.notify()
    assert interrupts(device).used == [0]


@LAYOUTS
def test_notifications_are_asked_for_and_declined(memory: GuestMemory, features: int) -> None:
    device = Echo(memory.space)
    (driver,) = start(device, memory, features)
    driver.add(chain(memory, [b"x"], [1]))
    assert driver.must_kick()
    device.queue.set_notification(False)
    device.kick(0)
    driver.add(chain(memory, [b"x"], [1]))
    assert not driver.must_kick()
    assert device.queue.available()
    device.kick(0)
    device.queue.set_notification(True)
    assert not device.queue.available()
    driver.add(chain(memory, [b"x"], [1]))
    assert driver.must_kick()


@LAYOUTS
def test_chains_in_flight_are_taken_again_after_a_load(memory: GuestMemory, features: int) -> None:
    device = Echo(memory.space)
    (driver,) = start(device, memory, features)
    for text in (b"first", b"second", b"third"):
        driver.add(chain(memory, [text], [6]))
    device.kick(0)
    device.answer(1)
    saved = decode(VirtioState, encode(device.save()))
    other = Echo(memory.space)
    other.load(saved)
    other.handle_queue(other.queue)
    assert [found.gather(100) for found in other.kept] == [b"first", b"third"]
    other.answer()
    other.answer()
    assert [buffers.answer(memory)[:count] for buffers, count in driver.collect()] == [b"dnoces", b"tsrif", b"driht"]
    driver.add(chain(memory, [b"more"], [6]))
    other.kick(0)
    assert [found.gather(100) for found in other.kept] == [b"more"]


@LAYOUTS
def test_a_reset_is_over_when_requests_no_longer_use_guest_memory(memory: GuestMemory, features: int) -> None:
    device = Echo(memory.space)
    (driver,) = start(device, memory, features)
    driver.add(chain(memory, [b"x"], [1]))
    device.kick(0)
    device.set_status(0)
    assert device.status != 0
    device.set_status(3)
    device.answer()
    assert device.status == 0
    assert driver.collect() == []


@pytest.mark.parametrize(
    ("descriptors", "heads"),
    [
        pytest.param([(0x100, 1, NEXT, 0)], [0], id="loop"),
        pytest.param([(0x100, 0, NEXT, 0)], [0], id="loop of nothing"),
        pytest.param([(0x100, 1, NEXT, 99)], [0], id="next descriptor out of the table"),
        pytest.param([], [99], id="head out of the table"),
        pytest.param([(1 << 40, 1, 0, 0)], [0], id="no RAM"),
        pytest.param([((1 << 64) - 1, 0xFFFFFFFF, 0, 0)], [0], id="end of the address space"),
        pytest.param([(0x3F_FFFF, 2, 0, 0)], [0], id="beyond the RAM's end"),
        pytest.param([(0x100, 1, 2 | NEXT, 1), (0x100, 1, 0, 0)], [0], id="readable behind writable"),
        pytest.param([(0x100, 17, 4, 0)], [0], id="table of an odd size"),
        pytest.param([(0x100, 0, 4, 0)], [0], id="empty table"),
        pytest.param([(0x100, 16, 4 | NEXT, 0)], [0], id="table with a successor"),
        pytest.param([(0x100, 16 * 1025, 4, 0)], [0], id="huge table"),
        pytest.param([(0x1000, 16, 4, 0)], [0], id="table in a table"),
        pytest.param([(0x100, 1, 0, 0)], [0] * 9, id="more chains than entries"),
    ],
)
def test_a_driver_that_breaks_the_rules_breaks_its_device(
    memory: GuestMemory, descriptors: list[tuple[int, int, int, int]], heads: list[int]
) -> None:
    device = Echo(memory.space)
    (driver,) = start(device, memory, SPLIT)
    assert isinstance(driver, SplitDriver)
    assert driver.descriptors == 0x1000
    for index, descriptor in enumerate(descriptors):
        driver.set_descriptor(index, *descriptor)
    for head in heads:
        driver.make_available(head)
    device.kick(0)
    assert device.status & NEEDS_RESET
    assert interrupts(device).config == 1
    device.kick(0)
    device.set_status(0)
    (driver,) = start(device, memory, SPLIT)
    driver.add(chain(memory, [b"good"], [4]))
    device.kick(0)
    device.kept = device.kept[-1:]
    device.answer()
    assert len(driver.collect()) == 1


@pytest.mark.parametrize("flags", [4 | NEXT, 4])
def test_a_packed_ring_that_breaks_the_rules_breaks_its_device(memory: GuestMemory, flags: int) -> None:
    device = Echo(memory.space)
    (driver,) = start(device, memory, PACKED)
    memory.write(driver.descriptors, struct.pack("<QIHH", 0x100, 17, 0, flags | 1 << 7))
    device.kick(0)
    assert device.status & NEEDS_RESET


def test_an_endless_packed_chain_breaks_the_device(memory: GuestMemory) -> None:
    device = Echo(memory.space)
    (driver,) = start(device, memory, PACKED)
    for index in range(8):
        memory.write(driver.descriptors + 16 * index, struct.pack("<QIHH", 0x100, 1, 0, NEXT | 1 << 7))
    device.kick(0)
    assert device.status & NEEDS_RESET


@pytest.mark.parametrize("features", [SPLIT, PACKED])
@pytest.mark.parametrize("where", ["descriptors", "driver", "device"])
@pytest.mark.parametrize("address", [0x1001, 1 << 40, (1 << 64) - 4])
def test_a_queue_out_of_memory_breaks_the_device(memory: GuestMemory, features: int, where: str, address: int) -> None:
    device = Echo(memory.space)
    start(device, memory, features)
    setattr(device.queue.state, where, address)
    device.enable_queue(0)
    assert device.status & NEEDS_RESET


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 3), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("kick")),
        st.tuples(st.just("answer"), st.integers(0, 7)),
        st.tuples(st.just("collect")),
        st.tuples(st.just("move")),
        st.tuples(st.just("suppress"), st.booleans()),
    ),
    max_size=60,
)


@LAYOUTS
@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_nothing_is_lost_whatever_happens_in_turn(features: int, steps: list[tuple[str, int]]) -> None:
    memory = GuestMemory()
    device = Echo(memory.space)
    (driver,) = start(device, memory, features)
    sent, back = [], []
    for number, (step, *arguments) in enumerate(steps):
        if step == "add":
            readable, writable, indirect = arguments
            texts = [b"%d.%d" % (number, part) for part in range(readable + 1)]
            buffers = chain(memory, texts, [8] * writable)
            if driver.add(buffers, indirect=bool(indirect)):
                sent.append(b"".join(texts))
        elif step == "kick":
            device.kick(0)
        elif step == "answer" and device.kept:
            device.answer(arguments[0] % len(device.kept))
        elif step == "collect":
            back += driver.collect()
        elif step == "suppress":
            driver.suppress(interrupts=bool(arguments[0]))
        elif step == "move":
            saved, device = device.save(), Echo(memory.space)
            device.load(saved)
            device.handle_queue(device.queue)
    device.kick(0)
    while device.kept:
        device.answer()
    back += driver.collect()
    assert not device.state.broken
    received = [b"".join(memory.read(at, n) for at, n, writes in buffers.ranges if not writes) for buffers, _ in back]
    assert sorted(received) == sorted(sent)
    for (buffers, written), text in zip(back, received, strict=True):
        assert buffers.answer(memory)[:written] == text[::-1][:written]

"""Whatever a driver leaves in its rings and requests, nothing raises and nothing outside RAM is touched."""

from __future__ import annotations

import asyncio
import random
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.virtio_driver import CountingTransport, GuestMemory, chain, start
from tests.support.virtio_echo import Echo

from varan.block.backend import BlockBackend
from varan.block.graph import Graph
from varan.core.memory import GuestRam
from varan.core.state import StateError, decode, encode
from varan.devices.virtio import blk_layout as b
from varan.devices.virtio.blk import VirtioBlk
from varan.devices.virtio.device import AnyVirtioDevice, VirtioState
from varan.devices.virtio.features import RING_EVENT_IDX, RING_INDIRECT_DESC, RING_PACKED

LAYOUTS = [RING_INDIRECT_DESC, RING_INDIRECT_DESC | RING_EVENT_IDX, RING_INDIRECT_DESC | RING_PACKED]
ROM = 8 << 20
SIZE = 8

ADDRESSES = st.one_of(
    st.integers(0x1000, 0x8000),
    st.sampled_from((0, ROM, ROM + 4095, (4 << 20) - 1, 1 << 40, (1 << 64) - 1, (1 << 63) - 1)),
    st.integers(0, (1 << 64) - 1),
)
LENGTHS = st.one_of(st.integers(0, 600), st.sampled_from((16, 32, 1 << 20, 0xFFFFFFFF)), st.integers(0, 0xFFFFFFFF))
FLAGS = st.one_of(st.integers(0, 7), st.integers(0, 7).map(lambda low: low | 1 << 7), st.integers(0, 0xFFFF))
DESCRIPTORS = st.tuples(ADDRESSES, LENGTHS, FLAGS, st.integers(0, 12))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("descriptor"), st.integers(0, SIZE - 1), DESCRIPTORS),
        st.tuples(st.just("ring"), st.integers(0, 2), st.integers(0, 90), st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("table"), st.lists(DESCRIPTORS, min_size=1, max_size=6)),
        st.tuples(st.just("kick")),
        st.tuples(st.just("serve")),
        st.tuples(st.just("reset")),
    ),
    max_size=40,
)


def guest_memory() -> GuestMemory:
    """RAM and, apart from it, a page of ROM."""
    memory = GuestMemory()
    memory.space.map_ram(ROM, GuestRam(4096), readonly=True)
    return memory


def attack(device: AnyVirtioDevice, memory: GuestMemory, features: int, steps: Any, serve: Callable[[], None]) -> None:
    """Play a driver that does these things."""
    (queue,) = start(device, memory, features, SIZE)
    for step, *arguments in steps:
        if step == "descriptor":
            index, (address, length, flags, following) = arguments
            fields = (following, flags) if features & RING_PACKED else (flags, following)
            memory.write(queue.descriptors + 16 * index, struct.pack("<QIHH", address, length, *fields))
        elif step == "ring":
            which, offset, data = arguments
            at = (queue.descriptors, queue.driver, queue.device)[which] + offset
            memory.write(at, data)
        elif step == "table":
            memory.write(0x7000, b"".join(struct.pack("<QIHH", *descriptor) for descriptor in arguments[0]))
        elif step == "kick":
            device.kick(0)
        elif step == "serve":
            serve()
        elif step == "reset":
            device.set_status(0)
            serve()
            assert device.status == 0
            (queue,) = start(device, memory, features, SIZE)
        assert sum(queue.in_flight for queue in device.queues) <= SIZE


@pytest.mark.parametrize("features", LAYOUTS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_random_rings_break_the_device_at_worst(features: int, steps: Any) -> None:
    memory = guest_memory()
    device = Echo(memory.space, size=SIZE)

    def serve() -> None:
        while device.kept:
            device.answer()

    attack(device, memory, features, steps, serve)
    assert memory.space.read_bytes(ROM, 4096) == bytes(4096)
    device.set_status(0)
    serve()
    (queue,) = start(device, memory, features, SIZE)
    queue.add(chain(memory, [b"good"], [4]))
    device.kick(0)
    device.answer()
    assert len(queue.collect()) == 1


@pytest.mark.parametrize("features", LAYOUTS)
@pytest.mark.parametrize("seed", range(8))
async def test_random_requests_to_a_disk_end_or_break_it(tmp_path: Path, features: int, seed: int) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(1 << 20))
    graph = Graph()
    node = await graph.open({"driver": "raw", "discard": "unmap", "file.filename": str(path)}, user=None)
    backend = BlockBackend(graph, "drive0", node)
    backend.attach("device 'disk0'", write=True)
    memory, source = guest_memory(), random.Random(seed)
    features |= b.F_DISCARD | b.F_WRITE_ZEROES | b.F_CONFIG_WCE
    posted: list[Callable[[], None]] = []
    device = VirtioBlk(
        memory.space,
        backend,
        lock=threading.RLock(),
        post=posted.append,
        shape=b.DiskShape(),
        features=features,
        queue_size=SIZE,
    )
    device.transport = CountingTransport()
    device.inline = seed % 2 == 0
    (queue,) = start(device, memory, features, SIZE)
    for _ in range(60):
        kind = source.choice((0, 1, 4, 8, 11, 13, 99))
        sector = source.choice((source.randrange(2100), source.getrandbits(64)))
        header = struct.pack("<IIQ", kind, 0, sector)[: source.choice((16, 16, 16, 7))]
        data = source.randbytes(source.choice((0, 16, 32, 512, 1024, 77)))
        sizes = [size for size in (source.choice((0, 20, 512, 1024, 13)), source.choice((0, 1, 1, 1))) if size]
        queue.add(chain(memory, [header, data] if data else [header], sizes))
        device.kick(0)
        while posted:
            posted.pop()()
        await backend.drain()
        await asyncio.sleep(0)
        queue.collect()
        if device.state.broken:
            device.set_status(0)
            assert device.status == 0
            (queue,) = start(device, memory, features, SIZE)
    assert path.stat().st_size == 1 << 20
    device.forget_memory()
    await backend.detach()
    await graph.close_all()


JUNK = st.one_of(st.integers(-1, 70000), st.integers(), st.booleans(), st.none(), st.lists(st.integers(), max_size=3))


@pytest.mark.parametrize("features", LAYOUTS)
@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(encode(Echo(GuestMemory().space).save())["state"]["queues"][0])), value=JUNK)
def test_a_saved_state_with_junk_is_refused_or_loaded(features: int, name: str, value: object) -> None:
    memory = guest_memory()
    device = Echo(memory.space, size=SIZE)
    (queue,) = start(device, memory, features, SIZE)
    queue.add(chain(memory, [b"text"], [4]))
    device.kick(0)
    saved = encode(device.save())
    saved["state"]["queues"][0][name] = value
    other = Echo(memory.space, size=SIZE)
    try:
        other.load(decode(VirtioState, saved))
    except StateError:
        return
    other.kick(0)
    while other.kept:
        other.answer()
    other.set_status(0)
    assert other.status == 0

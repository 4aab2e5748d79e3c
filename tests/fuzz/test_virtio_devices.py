"""Whatever a driver does to the small virtio devices, and whatever the host does meanwhile: nothing raises, nothing
grows, and what is saved loads."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from tests.support.bus import Bus
from tests.support.virtio_driver import Buffers, CountingTransport, DriverQueue, GuestMemory, chain, start

from varan.api.values import QKeyCode
from varan.core.memory import GuestRam
from varan.core.state import decode, encode
from varan.devices.virtio import balloon as b
from varan.devices.virtio import console as c
from varan.devices.virtio import input as i
from varan.devices.virtio.device import AnyVirtioDevice
from varan.devices.virtio.features import RING_EVENT_IDX, RING_INDIRECT_DESC, RING_PACKED
from varan.devices.virtio.rng import VirtioRng

LAYOUTS = [0, RING_INDIRECT_DESC | RING_EVENT_IDX, RING_INDIRECT_DESC | RING_PACKED]
SIZE = 8
STEPS = 300
STATE_LIMIT = 64 << 10
"""Bytes as text that no state outgrows."""
ROM = 8 << 20

Host = Callable[[AnyVirtioDevice, random.Random, Bus], None]
Make = Callable[[GuestMemory, Bus, int], tuple[AnyVirtioDevice, Host]]


class User:
    """A host's end of a port that is told and says nothing."""

    def output_ready(self) -> None:
        return

    def input_wanted(self) -> None:
        return

    def guest_opened(self, opened: bool) -> None:
        return

    def emergency(self, byte: int) -> None:
        return


def rng(memory: GuestMemory, bus: Bus, features: int) -> tuple[AnyVirtioDevice, Host]:
    asked: list[int] = []
    device = VirtioRng(memory.space, bus.clock, bus.timers, asked.append, max_bytes=5000, period=10, features=features)

    def host(device: AnyVirtioDevice, source: random.Random, bus: Bus) -> None:
        assert isinstance(device, VirtioRng)
        if asked:
            device.deliver(source.randbytes(source.randrange(asked.pop() + 1)))

    return device, host


def balloon(memory: GuestMemory, bus: Bus, features: int) -> tuple[AnyVirtioDevice, Host]:
    features |= b.F_PAGE_REPORTING | b.F_PAGE_POISON
    device = b.VirtioBalloon(memory.space, bus.clock, bus.timers, bus.clock, lambda pages: None, features=features)
    device.set_interval(1)

    def host(device: AnyVirtioDevice, source: random.Random, bus: Bus) -> None:
        assert isinstance(device, b.VirtioBalloon)
        device.set_target(source.getrandbits(32))

    return device, host


def console(memory: GuestMemory, bus: Bus, features: int) -> tuple[AnyVirtioDevice, Host]:
    device = c.VirtioConsole(memory.space, 3, features=features | c.F_EMERGENCY_WRITE)
    for number in range(3):
        device.add_port(c.Port(number, User(), name=f"port{number}", is_console=number == 0))

    def host(device: AnyVirtioDevice, source: random.Random, bus: Bus) -> None:
        assert isinstance(device, c.VirtioConsole)
        number = source.randrange(3)
        assert device.send_input(number, source.randbytes(100)) <= 100
        device.set_host_open(number, source.random() < 0.5)
        found = device.peek_output(number)
        if found is not None:
            device.take_output(number, found[0], source.randrange(len(found[1]) + 1))

    return device, host


def tablet(memory: GuestMemory, bus: Bus, features: int) -> tuple[AnyVirtioDevice, Host]:
    device = i.VirtioInput(
        memory.space, i.KEYBOARD, activated=lambda active: None, touched=lambda: None, features=features
    )

    def host(device: AnyVirtioDevice, source: random.Random, bus: Bus) -> None:
        assert isinstance(device, i.VirtioInput)
        device.key(source.choice(list(QKeyCode)), source.random() < 0.5)
        device.sync()

    return device, host


KINDS: dict[str, Make] = {"rng": rng, "balloon": balloon, "console": console, "input": tablet}


def random_buffers(memory: GuestMemory, source: random.Random) -> Buffers:
    """Sensible ones, with absurd addresses and lengths among them."""
    if source.random() < 0.1:
        address = source.choice((source.getrandbits(64), source.getrandbits(22), ROM, (1 << 64) - 1))
        length = source.choice((source.randrange(5000), source.getrandbits(32)))
        return Buffers([(address, length, source.random() < 0.5)])
    readable = [_content(source) for _ in range(source.randrange(3))]
    return chain(memory, readable, [source.randrange(1, 200) for _ in range(source.randrange(not readable, 3))])


def _content(source: random.Random) -> bytes:
    if source.random() < 0.5:
        return c.CONTROL.pack(source.randrange(5), source.randrange(9), source.randrange(2))
    return source.randbytes(source.randrange(60))


def collect(queues: list[DriverQueue]) -> bool:
    """Take chains back; False when the guest has given the memory of its own queues away."""
    try:
        for queue in queues:
            queue.collect()
    except KeyError:
        return False
    return True


def take_over(device: AnyVirtioDevice, other: AnyVirtioDevice) -> None:
    """Load what `device` saves into `other`, and see that it is the same."""
    saved = encode(device.save())
    assert len(repr(saved)) < STATE_LIMIT
    other.transport = CountingTransport()
    other.load(decode(other.state_type, saved))
    got = encode(other.save())
    assert {n: (v, saved["state"][n]) for n, v in got["state"].items() if v != saved["state"][n]} == {}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("features", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_random_drivers_break_their_device_at_worst(kind: str, features: int, seed: int) -> None:
    source, bus, memory = random.Random(seed), Bus(), GuestMemory(8 << 20)
    memory.space.map_ram(ROM, GuestRam(4096), readonly=True)
    device, host = KINDS[kind](memory, bus, features)
    device.transport = CountingTransport()
    queues: list[DriverQueue] = list(start(device, memory, device.offered, SIZE))
    for _ in range(STEPS):
        move = source.random()
        index = source.randrange(len(queues))
        if move < 0.5:
            queues[index].add(random_buffers(memory, source))
            device.kick(index)
        elif move < 0.8:
            host(device, source, bus)
        elif move < 0.9:
            offset = source.randrange(160)
            device.write_config(offset, source.randbytes(source.choice((1, 2, 4))))
            device.read_config(offset, 4)
        elif move < 0.95:
            bus.run(source.randrange(20_000_000))
        else:
            fresh, host = KINDS[kind](memory, bus, features)
            if not device.broken:
                take_over(device, fresh)
            device = fresh
        if device.broken or not device.running or not collect(queues):
            device.set_status(0)
            assert device.status == 0
            queues = list(start(device, memory, device.offered, SIZE))
        assert sum(queue.in_flight for queue in device.queues) <= SIZE * len(queues)
    assert memory.space.read_bytes(ROM, 4096) == bytes(4096)

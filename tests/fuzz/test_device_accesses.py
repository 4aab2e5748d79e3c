"""Whatever a guest does at the ports and registers of a PC, no device raises, hangs or grows."""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.bus import Bus

from varan.board.pc import Pc, PcConfig
from varan.core.clock import ManualClock
from varan.core.ports import PortSpace
from varan.core.state import encode
from varan.devices.irq.ioapic import BASE

STATE_SIZE_LIMIT = 4096
"""Bytes of JSON that no device's state outgrows."""


def make(bus: Bus) -> Pc:
    pc = Pc(
        PcConfig(memory=1 << 20, cpus=2, serial_ports=4),
        bus.environment(ports=PortSpace(), host=ManualClock(1_330_000_000_000_000_000)),
    )
    pc.act_as_firmware()
    return pc


MAPPED = sorted(port for mapped in make(Bus()).ports for port in range(mapped.base, mapped.base + mapped.length))
PORTS = st.one_of(st.sampled_from(MAPPED), st.integers(0, 0xFFFF))
REGISTERS = [(region.start, region.end - region.start) for region in make(Bus()).memory if region.read is not None]
ADDRESSES = st.one_of(*(st.integers(0, size - 1).map(start.__add__) for start, size in REGISTERS))
SIZES = st.sampled_from((1, 1, 1, 2, 4))
VALUES = st.integers(0, 0xFFFFFFFF)
LOCAL_REGISTERS = st.one_of(st.sampled_from(range(0, 0x400, 16)), st.integers(0, 0xFFF))
ACCESSES = st.one_of(
    st.tuples(st.just("in"), PORTS, SIZES),
    st.tuples(st.just("out"), PORTS, SIZES, st.integers(0, 0xFFFFFFFF)),
    st.tuples(st.just("load"), ADDRESSES, st.sampled_from((1, 2, 4, 8))),
    st.tuples(st.just("store"), ADDRESSES, st.sampled_from((1, 2, 4, 8)), st.integers(0, (1 << 64) - 1)),
    st.tuples(st.just("read"), st.sampled_from((BASE, BASE + 0x10, BASE + 3)), SIZES),
    st.tuples(st.just("write"), st.sampled_from((BASE, BASE + 0x10)), st.one_of(st.integers(0, 64), VALUES)),
    st.tuples(st.just("apic read"), st.integers(0, 1), LOCAL_REGISTERS, SIZES),
    st.tuples(st.just("apic write"), st.integers(0, 1), LOCAL_REGISTERS, VALUES),
    st.tuples(st.just("apic base"), st.integers(0, 1), st.integers(0, (1 << 64) - 1)),
    st.tuples(st.just("message"), st.integers(0xFEDF_F000, 0xFEF0_1000), VALUES),
    st.tuples(st.just("line"), st.integers(16, 19), st.integers(0, 1)),
    st.tuples(st.just("wait"), st.integers(0, 10**12)),
    st.tuples(st.just("type"), st.binary(max_size=40)),
    st.tuples(st.just("point"), st.integers(-5000, 5000), st.integers(-5000, 5000), st.integers(0, 7)),
    st.tuples(st.just("take")),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACCESSES, max_size=80))
def test_random_accesses_raise_nothing_and_keep_state_small(accesses: list[tuple[object, ...]]) -> None:
    bus = Bus()
    pc = make(bus)
    for access in accesses:
        perform(pc, bus, access)
    saved = pc.save()
    assert all(len(msgspec.json.encode(state)) < STATE_SIZE_LIMIT for state in saved.values())
    other = make(bus)
    other.load(saved)
    assert all(encode(device.state) == saved[name] for name, device in other.devices.items())
    pc.close()
    other.close()


def perform(pc: Pc, bus: Bus, access: tuple[object, ...]) -> None:
    match access:
        case ("in", int(port), int(size)):
            assert 0 <= pc.ports.read(port, size) < 1 << (8 * size)
        case ("out", int(port), int(size), int(value)):
            pc.ports.write(port, size, value & (1 << (8 * size)) - 1)
        case ("load", int(address), int(size)):
            assert 0 <= pc.memory.read(address, size) < 1 << (8 * size)
        case ("store", int(address), int(size), int(value)):
            pc.memory.write(address, size, value & (1 << (8 * size)) - 1)
        case ("wait", int(nanoseconds)):
            bus.stall(nanoseconds)
        case ("type", bytes(data)):
            pc.serials[0].port.receive(data)
            pc.keyboard.press(data[:8])
        case ("point", int(dx), int(dy), int(buttons)):
            pc.mouse.move(dx, dy, 0, buttons)
        case ("read", int(address), int(size)):
            assert 0 <= pc.memory.read(address, size) < 1 << (8 * size)
        case ("write", int(address), int(value)):
            pc.memory.write(address, 4, value)
        case ("message", int(address), int(data)):
            pc.environment.msi(address, data)
        case ("line", int(gsi), int(level)):
            pc.environment.gsi(gsi)(level)
        case ("apic read" | "apic write" | "apic base", int(), *_):
            use_apic(pc, access)
        case _:
            for apic in pc.interrupts.apics:
                answer = apic.peek()
                if answer is not None:
                    assert apic.acknowledge() == answer & 0xFF


def use_apic(pc: Pc, access: tuple[object, ...]) -> None:
    """An access by the CPU whose local APIC is named second."""
    match access:
        case ("apic read", int(cpu), int(offset), int(size)):
            assert 0 <= pc.interrupts.apics[cpu].read(offset, size) < 1 << (8 * size)
        case ("apic write", int(cpu), int(offset), int(value)):
            pc.interrupts.apics[cpu].write(offset, 4, value)
        case (_, int(cpu), int(value)):
            pc.interrupts.apics[cpu].set_base(value)

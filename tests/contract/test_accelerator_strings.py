"""The accelerator contract: REP INS and OUTS at a data port, whoever moves the words."""

from __future__ import annotations

import random
import threading

import pytest
from tests.support.block_port import PORT, BlockPort
from tests.support.cpu_bench import MODES, RBX, RCX, RDI, RDX, RSI, CpuBench
from tests.support.guest_code import CODE

from varan.accel.state import CpuState

SIZES = {1: "b", 2: "w", 4: "d"}
BLOCK, BLOCKS = 96, 4
AT = 0xA000 - 2 * BLOCK
"""In the middle of what is moved is the end of a page."""
HANDLER, VECTOR = CODE + 0x20, 0x41
IF, DF = 0x200, 0x400
PAGE_FAULT = 14

sizes = pytest.mark.parametrize("size", SIZES, ids=SIZES.values())


def noise(length: int) -> bytes:
    return random.Random(7).randbytes(length)


def begin(bench: CpuBench, direction: str, size: int, count: int, mode: str = "long") -> CpuState:
    state = bench.start(mode, f"rep_{direction}{SIZES[size]}_{MODES[mode]}")
    state.gprs[RDX], state.gprs[RCX] = PORT, count
    state.gprs[RDI] = state.gprs[RSI] = AT
    return state


@pytest.mark.parametrize("mode", ["real", "long"])
@sizes
def test_input_fills_memory(bench: CpuBench, size: int, mode: str) -> None:
    data = noise(BLOCK * BLOCKS)
    BlockPort(bench.ports, BLOCK, data)
    state = bench.finish(begin(bench, "ins", size, len(data) // size, mode))
    assert bytes(bench.ram[AT - 4 : AT + len(data) + 4]) == bytes(4) + data + bytes(4)
    assert (state.gprs[RCX], state.gprs[RDI]) == (0, AT + len(data))


@pytest.mark.parametrize("mode", ["real", "long"])
@sizes
def test_output_empties_memory(bench: CpuBench, size: int, mode: str) -> None:
    data = noise(BLOCK * BLOCKS)
    port = BlockPort(bench.ports, BLOCK)
    bench.ram[AT : AT + len(data)] = data
    state = bench.finish(begin(bench, "outs", size, len(data) // size, mode))
    assert port.taken == data
    assert (state.gprs[RCX], state.gprs[RSI]) == (0, AT + len(data))


@sizes
def test_input_goes_backwards(bench: CpuBench, size: int) -> None:
    data = noise(BLOCK * BLOCKS)
    BlockPort(bench.ports, BLOCK, data)
    state = begin(bench, "ins", size, len(data) // size)
    state.rflags |= DF
    last = AT + len(data) - size
    state.gprs[RDI] = last
    state = bench.finish(state)
    words = [bytes(bench.ram[at : at + size]) for at in range(last, AT - size, -size)]
    assert b"".join(words) == data
    assert state.gprs[RDI] == AT - size


@sizes
def test_output_goes_backwards(bench: CpuBench, size: int) -> None:
    data = noise(BLOCK * BLOCKS)
    port = BlockPort(bench.ports, BLOCK)
    last = AT + len(data) - size
    for number, at in enumerate(range(last, AT - size, -size)):
        bench.ram[at : at + size] = data[number * size : (number + 1) * size]
    state = begin(bench, "outs", size, len(data) // size)
    state.rflags |= DF
    state.gprs[RSI] = last
    bench.finish(state)
    assert port.taken == data


@pytest.mark.parametrize("direction", ["ins", "outs"])
def test_a_count_of_zero_moves_nothing(bench: CpuBench, direction: str) -> None:
    port = BlockPort(bench.ports, BLOCK, noise(BLOCK) if direction == "ins" else b"")
    state = bench.finish(begin(bench, direction, 2, 0))
    assert (state.gprs[RDI], state.gprs[RSI], port.accesses) == (AT, AT, 0)


@pytest.mark.parametrize("direction", ["ins", "outs"])
def test_several_instructions_share_a_block(bench: CpuBench, direction: str) -> None:
    data = noise(BLOCK * BLOCKS)
    port = BlockPort(bench.ports, BLOCK, data if direction == "ins" else b"")
    if direction == "outs":
        bench.ram[AT : AT + len(data)] = data
    at = AT
    for size, count in ((1, 6), (4, 5), (2, 35), (1, 2), (4, 11), (2, 61), (4, 10), (1, 80)):
        state = begin(bench, direction, size, count)
        state.gprs[RDI] = state.gprs[RSI] = at
        bench.finish(state)
        at += size * count
    assert at == AT + len(data)
    assert (bytes(bench.ram[AT:at]) if direction == "ins" else port.taken) == data


@pytest.mark.parametrize("direction", ["ins", "outs"])
@sizes
def test_a_page_fault_on_the_way_loses_nothing(bench: CpuBench, accelerator: str, direction: str, size: int) -> None:
    if (accelerator, direction) == ("kvm", "ins"):
        pytest.skip("KVM reads the port before it looks at the page where the words are to go, and drops them then")
    data = noise(BLOCK * BLOCKS)
    port = BlockPort(bench.ports, BLOCK, data if direction == "ins" else b"")
    if direction == "outs":
        bench.ram[AT : AT + len(data)] = data
    state = begin(bench, direction, size, len(data) // size)
    bench.quads(0x5000 + 8 * 0xA, 0)
    bench.gate(PAGE_FAULT, HANDLER + 0x10)
    state = bench.finish(state)
    assert state.gprs[RBX] == 1
    assert state.cr2 == 0xA000
    assert (bytes(bench.ram[AT : AT + len(data)]) if direction == "ins" else port.taken) == data


@pytest.mark.parametrize("direction", ["ins", "outs"])
@sizes
def test_interrupts_on_the_way_lose_nothing(bench: CpuBench, direction: str, size: int) -> None:
    data = noise(BLOCK * BLOCKS)
    port = BlockPort(bench.ports, BLOCK, data if direction == "ins" else b"")
    port.on_block = lambda: bench.controller.request(VECTOR)
    if direction == "outs":
        bench.ram[AT : AT + len(data)] = data
    state = begin(bench, direction, size, len(data) // size)
    state.rflags |= IF
    bench.gate(VECTOR, HANDLER)
    state = bench.finish(state)
    assert (state.gprs[RBX], state.gprs[RCX]) == (BLOCKS, 0)
    assert (bytes(bench.ram[AT : AT + len(data)]) if direction == "ins" else port.taken) == data


@pytest.mark.parametrize("direction", ["ins", "outs"])
def test_kicks_on_the_way_lose_nothing(bench: CpuBench, direction: str) -> None:
    data = noise(0x10000)
    port = BlockPort(bench.ports, 0x800, data if direction == "ins" else b"")
    target = 0x10_0000
    if direction == "outs":
        bench.ram[target : target + len(data)] = data
    state = begin(bench, direction, 1, len(data))
    state.gprs[RDI] = state.gprs[RSI] = target
    over = threading.Event()

    def kick() -> None:
        while not over.wait(0.0002):
            bench.vcpu.kick()

    kicker = threading.Thread(target=kick)
    kicker.start()
    try:
        state = bench.finish(state)
    finally:
        over.set()
        kicker.join()
    assert state.gprs[RCX] == 0
    assert (bytes(bench.ram[target : target + len(data)]) if direction == "ins" else port.taken) == data

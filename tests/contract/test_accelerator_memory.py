"""The accelerator contract: RAM, ROM, code that changes, translation of addresses."""

from __future__ import annotations

import threading

import pytest
from tests.support.cpu_bench import (
    ALIAS,
    ALIASED,
    CODE32,
    HIGH_RAM,
    MIB,
    R8,
    R9,
    R10,
    R11,
    RAM_SIZE,
    RAX,
    RBX,
    RCX,
    RDI,
    ROM,
    CpuBench,
)
from tests.support.guest_code import CODE
from tests.support.programs import PROGRAMS

from varan.accel.base import ExitReason
from varan.accel.state import CpuState

LOW, TOP = 0x1_0000, HIGH_RAM + 0x1000


def test_code_that_patches_itself(bench: CpuBench) -> None:
    state = bench.start("long", "self_modifying")
    state.gprs[RCX] = 1000
    assert bench.finish(state).gprs[RBX] == sum(range(1001))


def test_code_changed_through_another_mapping(bench: CpuBench) -> None:
    gprs = bench.finish(bench.start("long", "alias")).gprs
    assert [gprs[index] for index in (R8, R9, R10, R11)] == [1, 2, 3, 4]


@pytest.mark.parametrize("address", [LOW, TOP], ids=["low RAM", "above 4G"])
def test_code_changed_by_a_device(bench: CpuBench, address: int) -> None:
    state = bench.start("long", "call_twice")
    bench.memory.write_ram(address, PROGRAMS["return_1"].code)
    bench.on_post = lambda: assert_equal(bench.memory.write_ram(address, PROGRAMS["return_2"].code), 6)
    state.gprs[RDI] = address
    gprs = bench.finish(state).gprs
    assert (gprs[R8], gprs[R9]) == (1, 2)


def assert_equal(found: object, wanted: object) -> None:
    assert found == wanted


@pytest.mark.parametrize("address", [LOW, TOP], ids=["low RAM", "above 4G"])
def test_code_changed_by_another_thread(bench: CpuBench, address: int) -> None:
    for program, result in (("return_1", 1), ("return_2", 2), ("return_1", 1)):
        state = bench.start("long", "call_twice")
        state.gprs[RDI] = address
        writer = threading.Thread(target=bench.memory.write_ram, args=(address, PROGRAMS[program].code))
        writer.start()
        writer.join()
        assert bench.finish(state).gprs[R9] == result


def test_many_writes_from_another_thread(bench: CpuBench) -> None:
    for program, result in (("return_1", 1), ("return_2", 2)):
        state = bench.start("long", "call_twice")
        state.gprs[RDI] = LOW
        code = PROGRAMS[program].code

        def write_a_lot(code: bytes = code) -> None:
            bench.memory.write_ram(LOW, code)
            for _ in range(1000):
                bench.memory.write_ram(0x1_8000, b"x")

        writer = threading.Thread(target=write_a_lot)
        writer.start()
        writer.join()
        assert bench.finish(state).gprs[R8] == result


def test_rom_keeps_its_contents(bench: CpuBench) -> None:
    bench.rom[0:4] = b"\x11\x22\x33\x44"
    state = bench.start("long", "store_rom")
    state.gprs[RBX] = ROM
    assert bench.finish(state).gprs[RAX] == 0x44332211
    assert bytes(bench.rom[0:4]) == b"\x11\x22\x33\x44"


@pytest.mark.parametrize("address", [RAM_SIZE - 4, HIGH_RAM + 2 * MIB - 4], ids=["low RAM", "above 4G"])
def test_ram_takes_stores_to_its_end(bench: CpuBench, address: int) -> None:
    if address < HIGH_RAM:
        bench.quads(0x6000 - 8, address & ~0xFFF | 7)  # the last page below 2 MiB
    state = bench.start("long", "store_rom")
    state.gprs[RBX] = address
    assert bench.finish(state).gprs[RAX] == 0x12345678
    assert bench.memory.read(address, 4) == 0x12345678


def test_unassigned_memory_reads_as_ones(bench: CpuBench) -> None:
    bench.quads(0x6000, 0x4000_0000 | 7)
    state = bench.start("long", "store_rom")
    state.gprs[RBX] = 0x20_0000
    assert bench.finish(state).gprs[RAX] == 0xFFFF_FFFF


def translations(bench: CpuBench, state: CpuState, *addresses: int) -> list[int | None]:
    bench.vcpu.set_state(state)
    return [bench.vcpu.translate(address) for address in addresses]


def test_translate_without_paging(bench: CpuBench) -> None:
    assert translations(bench, bench.start("real", "count"), 0, 0x12345, 0xFFFF_FFF0) == [0, 0x12345, 0xFFFF_FFF0]
    assert translations(bench, bench.start("protected", "count"), 0x12345) == [0x12345]


def test_translate_in_long_mode(bench: CpuBench) -> None:
    state = bench.start("long", "count")
    assert translations(
        bench, state, CODE + 5, ALIAS + 7, HIGH_RAM + 0x12_3456, 0x4000_0000, 1 << 47, (1 << 64) - 1
    ) == [CODE + 5, ALIASED + 7, HIGH_RAM + 0x12_3456, None, None, None]


def test_translate_in_the_upper_half_of_long_mode(bench: CpuBench) -> None:
    state = bench.start("long", "count")
    bench.quads(0x1000 + 511 * 8, 0x2007)
    assert translations(bench, state, 0xFFFF_FF80_0000_8123) == [0x8123]


def test_translate_in_32bit_paging(bench: CpuBench) -> None:
    state = bench.start("protected", "count")
    state.cr0, state.cr3, state.cr4 = 0x80000011, 0x8_0000, 0x10
    bench.ram[0x8_0000:0x8_0010] = b"".join(
        entry.to_bytes(4, "little") for entry in (0x8_1007, 0x00C0_0087, 0, 0x0040_2087)
    )
    bench.ram[0x8_1020:0x8_1024] = 0x0000_9007.to_bytes(4, "little")
    assert translations(bench, state, 0x8123, 0x9000, 0x40_5678, 0x80_0000, 0xC1_2345) == [
        *(0x9123, None, 0xC0_5678, None),
        0x1_0041_2345,
    ]


def test_translate_in_pae_paging(bench: CpuBench) -> None:
    state = bench.start("protected", "count")
    bench.quads(0x8_0020, 0x8_1001, 0, 0, 0)
    bench.quads(0x8_1000, 0x8_2007, HIGH_RAM | 0x87)
    bench.quads(0x8_2040, CODE | 7)
    state.cr0, state.cr3, state.cr4 = 0x80000011, 0x8_0020, 0x220
    assert translations(bench, state, CODE + 9, 0x20_1234, 0x9000, 0x4000_0000) == [
        *(CODE + 9, HIGH_RAM + 0x1234),
        *(None, None),
    ]


def test_guest_agrees_with_translate_in_pae_paging(bench: CpuBench) -> None:
    state = bench.start("protected", "undefined_32")
    bench.quads(0x8_0020, 0x8_1001, 0, 0, 0)
    bench.quads(0x8_1000, 0x8_2007)
    bench.quads(0x8_2000, *(page << 12 | 7 for page in range(64)))
    bench.handlers()
    state.cr0, state.cr3, state.cr4 = 0x80000011, 0x8_0020, 0x220
    bench.vcpu.set_state(state)
    assert bench.run().reason is ExitReason.HALTED
    assert (bench.note()["vector"], bench.note()["cs"] & 0xFFFF) == (6, CODE32)

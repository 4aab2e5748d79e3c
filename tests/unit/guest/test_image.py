from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.need import need_tool

from varan.guest import build, image


@pytest.mark.parametrize("program", sorted(build.PROGRAMS))
def test_the_bytes_in_the_package_are_what_the_source_assembles_to(program: str) -> None:
    need_tool("as", "binutils")
    stored = (build.SOURCE / f"{program}.bin").read_bytes()
    assert build.assemble(program) == stored, "run `python -m varan.guest.build`"


def test_the_programs_are_small() -> None:
    assert len(image.demo()) < 16 << 10
    assert len(image.nothing()) < 512


def test_symbols_lie_in_the_guest() -> None:
    symbols = image.symbols()
    end = image.LOAD_ADDRESS + len(image.demo())
    assert all(image.LOAD_ADDRESS <= symbols[name] < end for name in ("start", "idle_wait", "spin_loop"))
    assert all(
        end <= symbols[name] < symbols["end_of_memory"] for name in ("ticks", "nmi_count", "dirty_total", "line")
    )
    assert symbols["end_of_memory"] <= 0x30000, "below the test range of a small machine"


def test_idle_wait_is_a_halt_instruction() -> None:
    assert image.demo()[image.symbols()["idle_wait"] - image.LOAD_ADDRESS] == 0xF4


def test_symbols_of_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match="not the demonstration guest"):
        image.symbols(b"something else")


@given(st.integers(0, 200), st.integers(0, 1 << 29))
def test_checksum_is_the_sum_of_the_pattern(count: int, page: int) -> None:
    start = page * 8
    expected = sum((start + 8 * index) * image.PATTERN % (1 << 64) for index in range(count)) % (1 << 64)
    assert image.checksum(count * 8, start) == expected


def test_a_missing_assembler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(build.BuildError, match="as is not installed"):
        build.assemble("demo")


def test_the_option_rom_is_one_that_firmware_takes() -> None:
    rom = image.linux_rom()
    assert (rom[:2], len(rom)) == (b"\x55\xaa", rom[2] * 512)
    assert sum(rom) % 256 == 0
    header = int.from_bytes(rom[0x1A:0x1C], "little")
    assert rom[header : header + 4] == b"$PnP"

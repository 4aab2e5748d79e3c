from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.fake_machine import RAM_SIZE, FakeMachine

from varan import errors
from varan.commands import dump
from varan.commands import machine as handlers
from varan.core.memory import PAGE_SIZE, GuestRam

PATTERN = bytes(range(256)) * (RAM_SIZE // 256)


@pytest.fixture(autouse=True)
def filled(machine: FakeMachine) -> None:
    machine.ram.view[:] = PATTERN


async def test_pmemsave_writes_the_bytes_at_a_physical_address(machine: FakeMachine, tmp_path: Path) -> None:
    target = tmp_path / "memory"
    await handlers.pmemsave(machine, 0x1234, 5000, str(target))
    assert target.read_bytes() == PATTERN[0x1234 : 0x1234 + 5000]


async def test_pmemsave_of_several_chunks_is_complete(
    machine: FakeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "CHUNK", 60_000)
    await handlers.pmemsave(machine, 0, RAM_SIZE, str(tmp_path / "memory"))
    assert (tmp_path / "memory").read_bytes() == PATTERN


async def test_pmemsave_reads_holes_and_devices_as_zero(machine: FakeMachine, tmp_path: Path) -> None:
    machine.memory.map_mmio(RAM_SIZE, PAGE_SIZE, lambda offset, size: 0xFF, lambda *access: None, name="device")
    high = GuestRam(PAGE_SIZE, "high")
    high.view[:] = b"\xaa" * PAGE_SIZE
    machine.memory.map_ram(RAM_SIZE + 4 * PAGE_SIZE, high)
    await handlers.pmemsave(machine, RAM_SIZE - 2, 6 * PAGE_SIZE, str(tmp_path / "memory"))
    expected = PATTERN[-2:] + bytes(4 * PAGE_SIZE) + b"\xaa" * PAGE_SIZE + bytes(PAGE_SIZE - 2)
    assert (tmp_path / "memory").read_bytes() == expected
    machine.memory.unmap(RAM_SIZE + 4 * PAGE_SIZE)
    high.close()


async def test_pmemsave_of_a_huge_hole_takes_no_space(machine: FakeMachine, tmp_path: Path) -> None:
    await handlers.pmemsave(machine, 1 << 40, 1 << 36, str(tmp_path / "memory"))
    status = (tmp_path / "memory").stat()
    assert status.st_size == 1 << 36
    assert status.st_blocks * 512 < 1 << 20


async def test_pmemsave_of_nothing_makes_an_empty_file(machine: FakeMachine, tmp_path: Path) -> None:
    await handlers.pmemsave(machine, 0, 0, str(tmp_path / "memory"))
    assert (tmp_path / "memory").read_bytes() == b""


async def test_pmemsave_larger_than_files_can_be_is_an_io_error_and_leaves_nothing(
    machine: FakeMachine, tmp_path: Path
) -> None:
    with pytest.raises(errors.IOError):
        await handlers.pmemsave(machine, 0, (1 << 63) - 1, str(tmp_path / "memory"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("save", [handlers.pmemsave, handlers.memsave])
async def test_a_negative_size_is_refused(machine: FakeMachine, tmp_path: Path, save: object) -> None:
    with pytest.raises(errors.InvalidParameterValue) as caught:
        await save(machine, 0, -1, str(tmp_path / "memory"))  # type: ignore[operator]
    assert caught.value.data["name"] == "size"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("save", [handlers.pmemsave, handlers.memsave])
async def test_a_file_that_cannot_be_made_is_named(machine: FakeMachine, tmp_path: Path, save: object) -> None:
    filename = str(tmp_path / "missing" / "memory")
    with pytest.raises(errors.OpenFileFailed, match="No such file or directory") as caught:
        await save(machine, 0, 16, filename)  # type: ignore[operator]
    assert caught.value.data == {"filename": filename}


async def test_memsave_follows_the_page_tables_of_the_cpu(machine: FakeMachine, tmp_path: Path) -> None:
    machine.map_page(0x7000, 0x3000, cpu=1)
    machine.map_page(0x8000, 0x1000, cpu=1)
    await handlers.memsave(machine, 0x7F00, 0x200, str(tmp_path / "memory"), cpu_index=1)
    assert (tmp_path / "memory").read_bytes() == PATTERN[0x3F00:0x4000] + PATTERN[0x1000:0x1100]


async def test_memsave_takes_kernel_addresses_as_signed_numbers(machine: FakeMachine, tmp_path: Path) -> None:
    machine.map_page(0xFFFFFFFF81000000, 0x2000)
    await handlers.memsave(machine, 0xFFFFFFFF81000010 - (1 << 64), 16, str(tmp_path / "memory"))
    assert (tmp_path / "memory").read_bytes() == PATTERN[0x2010:0x2020]


async def test_memsave_of_an_unmapped_address_names_it_and_leaves_nothing(machine: FakeMachine, tmp_path: Path) -> None:
    machine.map_page(0x7000, 0x3000)
    with pytest.raises(errors.GenericError, match="0x0000000000008000"):
        await handlers.memsave(machine, 0x7000, 2 * PAGE_SIZE, str(tmp_path / "memory"))
    assert os.listdir(tmp_path) == []


async def test_memsave_beyond_the_address_space_is_refused(machine: FakeMachine, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidParameterValue):
        await handlers.memsave(machine, -4, 8, str(tmp_path / "memory"))


async def test_memsave_asks_for_translations_in_batches(machine: FakeMachine, tmp_path: Path) -> None:
    for page in range(0, RAM_SIZE, PAGE_SIZE):
        machine.map_page((1 << 40) + page, page)
    visits = 0
    call = machine.threads[0].call

    def counted(work: object) -> object:
        nonlocal visits
        visits += 1
        return call(work)

    machine.threads[0].call = counted  # type: ignore[method-assign, assignment]
    await handlers.memsave(machine, 1 << 40, RAM_SIZE, str(tmp_path / "memory"))
    assert (tmp_path / "memory").read_bytes() == PATTERN
    assert visits == 1

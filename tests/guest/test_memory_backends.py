"""Guests whose memory comes from an object."""

from __future__ import annotations

from pathlib import Path

import pytest

import varan
from varan.errors import GenericError, VaranError
from varan.machine.spec import BootSpec, MachineSpec, ObjectSpec

MIB = 1 << 20


def spec(backend: str | None = "ram", memory: int = 32 * MIB, **settings: object) -> MachineSpec:
    """A machine with the demonstration guest, whose memory is a shared file's."""
    made = ObjectSpec("memory-backend-file", "ram", {"size": 32 * MIB, "share": True, **settings})
    return MachineSpec(
        memory=memory, memory_backend=backend, objects=(made,), boot=BootSpec(demo=True), serials=("serial0",)
    )


async def test_a_file_is_the_guests_memory(tmp_path: Path) -> None:
    path = tmp_path / "ram"
    async with varan.Machine(spec=spec(**{"mem-path": str(path)})) as vm:
        await vm.start()
        await vm.serial.expect(">", timeout=60)
        await vm.pause()
        assert path.read_bytes() == vm.memory.read(0, 32 * MIB)
        with pytest.raises(GenericError, match="object 'ram' is in use, can not be deleted"):
            await vm.qmp.object_del("ram")
        assert await vm.qmp.qom_get("/machine", "memory-backend") == "/objects/ram"
    assert any(path.read_bytes())


async def test_a_machine_makes_its_own_memory_and_shows_it() -> None:
    async with varan.Machine(demo=True, memory="16M") as vm:
        (found,) = await vm.qmp.query_memdev()
        assert (found.id, found.size, found.reserve) == ("pc.ram", 16 * MIB, False)
        assert (await vm.qmp.query_memory_size_summary()).plugged_memory == 0


async def test_one_is_made_while_the_machine_runs() -> None:
    async with varan.Machine(demo=True, memory="16M") as vm:
        await vm.qmp.execute("object-add", {"qom-type": "memory-backend-ram", "id": "more", "size": MIB, "merge": True})
        assert [(one.id, one.merge) for one in await vm.qmp.query_memdev()] == [("pc.ram", False), ("more", True)]
        await vm.qmp.object_del("more")


@pytest.mark.parametrize(
    ("backend", "memory", "problem"),
    [
        ("ram", 16 * MIB, "Machine memory size does not match the size of the memory backend"),
        ("other", 32 * MIB, "Memory backend 'other' not found"),
    ],
)
async def test_a_backend_that_does_not_fit_is_refused(tmp_path: Path, backend: str, memory: int, problem: str) -> None:
    with pytest.raises(VaranError, match=problem):
        async with varan.Machine(spec=spec(backend, memory, **{"mem-path": str(tmp_path)})):
            pass

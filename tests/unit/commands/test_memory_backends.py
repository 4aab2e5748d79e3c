"""Host memory that guests get as theirs."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import pytest
from tests.support.fake_machine import FakeMachine

from varan.commands import machine as handlers
from varan.commands.hmp.commands import info
from varan.commands.hmp.session import HmpSession
from varan.devices.backends.memory import MemoryBackend
from varan.errors import GenericError, QmpError

MIB = 1 << 20
RAM, FILE, MEMFD = (f"memory-backend-{kind}" for kind in ("ram", "file", "memfd"))


async def make(machine: FakeMachine, kind: str, **settings: Any) -> MemoryBackend:
    made = await machine.objects.add(kind, "m", {"size": MIB, **settings})
    assert isinstance(made, MemoryBackend)
    return made


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("kind", [RAM, MEMFD, FILE])
async def test_pages_are_zero_can_be_written_and_given_back(
    machine: FakeMachine, tmp_path: Path, kind: str, share: bool
) -> None:
    place = {"mem-path": str(tmp_path)} if kind == FILE else {}
    ram = (await make(machine, kind, share=share, prealloc=True, **place)).ram
    assert (ram.size, bytes(ram.view[:4])) == (MIB, bytes(4))
    ram.view[100:9000] = b"x" * 8900
    ram.discard(4096, 4096)
    assert bytes(ram.view[4095:4097]) == b"x\0"
    assert bytes(ram.view[8191:8193]) == b"\0x"
    assert list(tmp_path.iterdir()) == []
    await machine.objects.remove("m")


async def test_a_shared_file_gets_what_is_written_and_keeps_what_is_not(machine: FakeMachine, tmp_path: Path) -> None:
    path = tmp_path / "ram"
    shared = (await make(machine, FILE, share=True, **{"mem-path": str(path)})).ram
    shared.view[:5] = b"guest"
    assert path.read_bytes() == b"guest".ljust(MIB, b"\0")
    await machine.objects.remove("m")
    private = (await make(machine, FILE, **{"mem-path": str(path)})).ram
    private.view[:5] = b"other"
    private.discard(0, 4096)
    assert bytes(private.view[:5]) == bytes(5)
    assert path.read_bytes()[:5] == b"guest"
    await machine.objects.remove("m")
    await make(machine, FILE, share=True, **{"mem-path": str(path), "discard-data": True})
    await machine.objects.remove("m")
    assert path.read_bytes() == bytes(MIB)


async def test_settings_become_advice(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []

    class Watched(mmap.mmap):
        def madvise(self, option: int, *run: int) -> None:
            given.append(option)

    monkeypatch.setattr(mmap, "mmap", Watched)
    await make(machine, RAM, merge=True, dump=False, prealloc=True)
    assert given == [mmap.MADV_MERGEABLE, mmap.MADV_DONTDUMP, 23]


@pytest.mark.parametrize(
    ("kind", "settings", "problem"),
    [
        (RAM, {"size": 0}, "property 'size' of memory-backend-ram doesn't take value '0'"),
        (RAM, {"size": 1 << 60}, "the host has no 1099511627776 MiB for the guest: "),
        (RAM, {"policy": "bind"}, "host-nodes must be set for policy bind"),
        (RAM, {"host-nodes": [0]}, "host-nodes must be empty for policy default, or you should explicitly specify a"),
        (RAM, {"policy": "bind", "host-nodes": "999"}, "cannot bind memory to host NUMA nodes: "),
        (RAM, {"host-nodes": "x"}, "Invalid parameter type for 'host-nodes', expected: integer"),
        (RAM, {"host-nodes": 4096}, "Parameter 'host-nodes' expects numbers below 1024"),
        (FILE, {}, "Parameter 'mem-path' is missing"),
        (FILE, {"mem-path": "/nowhere/x"}, "can't open backing store /nowhere/x for guest RAM: No such file"),
        (FILE, {"mem-path": "/dev/null"}, "can't open backing store /dev/null for guest RAM: it is no regular file"),
        (MEMFD, {"hugetlbsize": 3}, "Parameter 'hugetlbsize' expects a power of two"),
    ],
)
async def test_what_cannot_be_is_refused(
    machine: FakeMachine, kind: str, settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(QmpError) as caught:
        await make(machine, kind, **settings)
    assert str(caught.value).startswith(problem)
    assert machine.objects.find("m") is None


async def test_a_file_of_another_size_is_refused(machine: FakeMachine, tmp_path: Path) -> None:
    path = tmp_path / "ram"
    path.write_bytes(bytes(4096))
    with pytest.raises(GenericError, match="backing store size 0x1000 does not match 'size' option 0x100000"):
        await make(machine, FILE, **{"mem-path": str(path)})
    with pytest.raises(GenericError, match="Parameter 'size' is missing"):
        await machine.objects.add(RAM, "m", {})


async def test_backends_are_listed(machine: FakeMachine) -> None:
    await make(machine, MEMFD, reserve=False)
    (found,) = await handlers.query_memdev(machine)
    assert (found.id, found.size, found.share, found.reserve, found.host_nodes) == ("m", MIB, True, False, [])
    assert await info.memdev(HmpSession(machine)) == (  # type: ignore[arg-type]
        "memory backend: m\n  size:  1048576\n  merge: false\n  dump: true\n  prealloc: false\n  share: true\n"
        "  reserve: false\n  policy: default\n  host nodes: \n\n"
    )

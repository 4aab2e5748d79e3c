"""The tables of boards of all sorts, against ACPICA's compiler: it reads them and makes the same of what it read."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.boot_images import MIB, ram
from tests.support.need import need

from varan.board.boot import e820
from varan.board.boot.acpi.build import build
from varan.board.boot.acpi.hardware import AcpiHardware, Apics, HotplugBus, PciHost, Window
from varan.board.boot.acpi.install import AREA, EBDA_SEGMENT, RSDP_ADDRESS, AcpiArea
from varan.board.boot.acpi.table import Table, lay_out
from varan.board.boot.base import BootError
from varan.core.memory import MemorySpace
from varan.devices.acpi.identity import AcpiIdentity

DEVICES = (
    AcpiIdentity("RTC", "PNP0B00", ((0x70, 2),), 8),
    AcpiIdentity("COM1", "PNP0501", ((0x3F8, 8),), 4, 1),
    AcpiIdentity("COM2", "PNP0501", ((0x2F8, 8),), 3, 2),
    AcpiIdentity("PEVT", "QEMU0001", ((0x505, 1),)),
)
TRANSPORTS = tuple(
    AcpiIdentity(
        f"VR{number:02X}", "LNRO0005", memory=((0xFED60000 + 512 * number, 512),), gsi=16 + number, unit=number
    )
    for number in range(3)
)
ISA = AcpiHardware(cpus=1, isa=DEVICES, system=TRANSPORTS)
HOST = PciHost(
    io=(Window(0, 0xCF7), Window(0xD00, 0xFFFF)),
    memory=(Window(0xA0000, 0xBFFFF), Window(0xC0000000, 0xFEBFFFFF), Window(1 << 32, (1 << 33) - 1)),
    hotplug=HotplugBus(0, tuple(range(2, 32))),
)
PCI = AcpiHardware(
    cpus=4,
    isa=DEVICES,
    system=TRANSPORTS,
    apics=Apics(local_ids=(0, 1, 2, 3), io_apic_id=4, io_apic_address=0xFEC00000, local_address=0xFEE00000),
    hpet_address=0xFED00000,
    pci=HOST,
)
SLOTS = tuple(range(32))
BRIDGES = HotplugBus(
    0,
    tuple(range(2, 32)),
    ((0x28, HotplugBus(1, SLOTS, ((0x18, HotplugBus(2, SLOTS)),))), (0x31, HotplugBus(3, SLOTS))),
)
"""A bridge behind a bridge, and one that is a second function."""
BRIDGED = AcpiHardware(cpus=1, isa=DEVICES, apics=PCI.apics, pci=replace(HOST, hotplug=BRIDGES))
ONLY_BRIDGES = AcpiHardware(cpus=1, apics=PCI.apics, pci=replace(HOST, hotplug=replace(BRIDGES, number=None, slots=())))
LARGEST = AcpiHardware(cpus=255, apics=PCI.apics, pci=PCI.pci, s3=False, s4=False)
BOARDS = {"isa": ISA, "pci": PCI, "bridged": BRIDGED, "only-bridges": ONLY_BRIDGES, "largest": LARGEST}
CREATOR = slice(28, 36)
CHECKSUM = 9


def placed(hardware: AcpiHardware) -> dict[str, bytes]:
    tables = build(hardware)
    addresses, _ = lay_out(tables, 0x7FE0000)
    return {table.name: table.place(addresses) for table in tables}


def content(table: bytes) -> bytes:
    """All but what tells who made it."""
    return table[:CHECKSUM] + table[CHECKSUM + 1 : CREATOR.start] + table[CREATOR.stop :]


@pytest.mark.parametrize("board", BOARDS)
def test_the_reference_compiler_reads_every_table_and_makes_the_same_of_it(board: str, tmp_path: Path) -> None:
    need(shutil.which("iasl") is not None, "no iasl: install the Debian package acpica-tools")
    for name, data in placed(BOARDS[board]).items():
        if name == "RSDP":
            continue
        (tmp_path / f"{name}.aml").write_bytes(data)
        read = iasl(tmp_path, "-d", f"{name}.aml")
        assert "Could not" not in read and "Invalid" not in read and "ncorrect" not in read, read
        made = iasl(tmp_path, "-oa", "-p", f"{name}-again", f"{name}.dsl")
        assert "Error" not in made.replace("0 Errors", "") and "Warning " not in made, made
        assert content((tmp_path / f"{name}-again.aml").read_bytes()) == content(data), name


def iasl(folder: Path, *arguments: str) -> str:
    run = subprocess.run(["iasl", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


@pytest.mark.parametrize("board", BOARDS)
def test_every_checksum_is_right(board: str) -> None:
    for name, data in placed(BOARDS[board]).items():
        if name == "RSDP":
            assert sum(data[:20]) % 256 == 0
        if name != "FACS":
            assert sum(data) % 256 == 0, name


def test_sleep_states_are_offered_as_the_board_has_them() -> None:
    assert all(state in placed(ISA)["DSDT"] for state in (b"_S3_", b"_S4_", b"_S5_"))
    dsdt = placed(LARGEST)["DSDT"]
    assert b"_S3_" not in dsdt and b"_S4_" not in dsdt and b"_S5_" in dsdt


def test_boards_without_apics_and_hpet_have_no_tables_of_them() -> None:
    assert "APIC" not in placed(ISA) and "HPET" not in placed(ISA)
    assert {"APIC", "HPET"} <= placed(PCI).keys()


def test_a_guest_finds_every_table_from_the_root_pointer_in_memory_that_is_kept_for_it() -> None:
    memory = ram((0, 64 * MIB))
    entries = e820.memory_map(memory)
    area = AcpiArea.plan(entries)
    assert area is not None
    area.install(memory, build(PCI))
    kept = [entry for entry in area.reserve(entries) if entry.kind in (e820.Kind.ACPI_DATA, e820.Kind.ACPI_NVS)]
    assert memory.read(EBDA_SEGMENT, 2) << 4 == RSDP_ADDRESS
    assert memory.read_bytes(RSDP_ADDRESS, 8) == b"RSD PTR "
    xsdt, rsdt = memory.read(RSDP_ADDRESS + 24, 8), memory.read(RSDP_ADDRESS + 16, 4)
    found = {}
    for root, entry in ((xsdt, 8), (rsdt, 4)):
        length = memory.read(root + 4, 4)
        for at in range(root + 36, root + length, entry):
            address = memory.read(at, entry)
            found[memory.read_bytes(address, 4)] = address
    fadt = found[b"FACP"]
    found[memory.read_bytes(memory.read(fadt + 36, 4), 4)] = memory.read(fadt + 36, 4)
    found[memory.read_bytes(memory.read(fadt + 40, 4), 4)] = memory.read(fadt + 40, 4)
    assert found.keys() == {b"FACP", b"APIC", b"HPET", b"WAET", b"FACS", b"DSDT"}
    assert all(any(entry.start <= address < entry.end for entry in kept) for address in found.values())
    assert found[b"FACS"] % 64 == 0
    usable = [entry for entry in area.reserve(entries) if entry.kind is e820.Kind.USABLE]
    assert usable[-1].end == kept[0].start


def test_a_guest_that_sleeps_is_woken_in_real_mode_where_it_said() -> None:
    memory = ram((0, 64 * MIB))
    area = AcpiArea.plan(e820.memory_map(memory))
    assert area is not None
    area.install(memory, build(ISA))
    assert area.wake(memory) is None, "no vector, no wake"
    facs = memory.read(fadt_address(memory) + 36, 4)
    memory.write(facs + 12, 4, 0x9A120)
    state = area.wake(memory)
    assert state is not None
    assert (state.cs.selector, state.cs.base, state.rip) == (0x9A12, 0x9A120, 0)
    assert not state.cr0 & 1
    memory.write(facs + 12, 4, 0x100000)
    assert area.wake(memory) is None


def fadt_address(memory: MemorySpace) -> int:
    return memory.read(memory.read(RSDP_ADDRESS + 24, 8) + 36, 8)


def test_a_memory_that_is_too_small_gets_no_tables() -> None:
    assert AcpiArea.plan(e820.memory_map(ram((0, MIB)))) is None


def test_tables_name_the_places_that_whoever_loads_them_fills_in() -> None:
    tables = {table.name: table for table in build(PCI)}
    assert {pointer.target for pointer in tables["RSDP"].pointers} == {"RSDT", "XSDT"}
    assert {pointer.target for pointer in tables["FACP"].pointers} == {"FACS", "DSDT"}
    names = ["FACP", "APIC", "HPET", "WAET"]
    assert [pointer.target for pointer in tables["XSDT"].pointers] == names
    table: Table = tables["RSDT"]
    data = table.place({name: 0x1000 * number for number, name in enumerate(names, 1)})
    assert struct.unpack_from("<4I", data, 36) == (0x1000, 0x2000, 0x3000, 0x4000)


def test_tables_that_outgrow_their_area_are_not_installed() -> None:
    memory = ram((0, 64 * MIB))
    area = AcpiArea.plan(e820.memory_map(memory))
    assert area is not None
    facs, *others, rsdp = build(ISA)
    with pytest.raises(BootError, match="ACPI tables"):
        area.install(memory, [facs, Table("BIG", bytes(AREA)), *others, rsdp])
    area.install(memory, build(LARGEST))

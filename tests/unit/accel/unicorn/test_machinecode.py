"""The machine code: what is kept is what its source assembles to, and lies where Python looks for it."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest
from tests.support.assemble import assemble

from varan.accel.unicorn import assembly, codemarks, interposed, layout, library, machinecode
from varan.accel.unicorn.codemarks import Noticeboard
from varan.accel.unicorn.machinecode import PAGE, MachineCode, Shared
from varan.core.dataport import READS, WINDOWS, WRITES, Window

SOURCES = [assembly, interposed]


@pytest.mark.interop
@pytest.mark.parametrize("module", SOURCES, ids=["assembly", "interposed"])
def test_code_is_what_its_source_assembles_to(tmp_path: Path, module: Any) -> None:
    code, labels = assemble(module.SOURCE, tmp_path)
    assert code[:PAGE].rstrip(b"\0") == module.CODE
    assert {name: labels[name] for name in module.ENTRIES} == module.ENTRIES


@pytest.mark.interop
def test_data_lies_where_python_looks_for_it(tmp_path: Path) -> None:
    labels = assemble(assembly.SOURCE, tmp_path).labels
    for name, _ in Shared._fields_:
        assert labels[name] - PAGE == getattr(Shared, name).offset, name
    labels = assemble(interposed.SOURCE, tmp_path).labels
    assert [labels["check_intercept"], labels["invalidate"]] == [PAGE, PAGE + 8]
    assert list(interposed.REPLACED) == ["intercept", "store"]


def constants(source: str) -> dict[str, int]:
    """What .set defines."""
    return {
        words[1].rstrip(","): int(words[2], 0)
        for words in map(str.split, source.splitlines())
        if words and words[0] == ".set"
    }


def test_offsets_in_the_source_are_those_of_the_layout() -> None:
    found = {**constants(assembly.SOURCE), **constants(interposed.SOURCE)}
    assert found["C_ENV"] == layout.ENV
    assert found["C_ENGINE"] == layout.Cpu.engine.offset
    assert found["C_EXIT_REQUEST"] == layout.Cpu.exit_request.offset
    assert found["ENGINE_STOP_REQUEST"] == layout.Handle.stop_request.offset
    assert found["ENGINE_CPU"] == layout.Handle.cpu.offset
    names = {
        "E_RAX": "regs",
        "E_RIP": "eip",
        "E_EFLAGS": "eflags",
        "E_CC_SRC": "cc_src",
        "E_CC_OP": "cc_op",
        "E_DF": "df",
        "E_HFLAGS": "hflags",
        "E_HFLAGS2": "hflags2",
        "E_TR": "tr",
        "E_EFER": "efer",
        "E_SYSENTER_CS": "sysenter_cs",
        "E_STAR": "star",
        "E_LSTAR": "lstar",
        "E_FMASK": "fmask",
        "E_ERROR_CODE": "error_code",
        "E_IS_INT": "exception_is_int",
        "E_TASK_PRIORITY": "task_priority",
        "E_SHARED": "shared",
    }
    assert {name: found[name] for name in names} == {
        name: getattr(layout.Env, member).offset for name, member in names.items()
    }


def test_offsets_of_shared_memory_are_those_of_its_structures() -> None:
    found = {**constants(assembly.SOURCE), **constants(interposed.SOURCE)}
    for name in (
        "page_marks",
        "page_count",
        "board",
        "apic_base",
        "apic_base_written",
        "stop",
        "others",
        "pause_stops",
    ):
        assert found[f"SH_{name.upper()}"] == getattr(Shared, name).offset, name
    for name in ("count", "runs", "pages"):
        assert found[f"B_{name.upper()}"] == getattr(Noticeboard, name).offset, name
    assert found["BOARD_GENERATION"] == Noticeboard.generation.offset  # type: ignore[attr-defined]
    assert found["BOARD_ROOM"] == codemarks.BOARD_ROOM
    assert found["QUEUED"] == codemarks.QUEUED
    for name in ("port", "open_for", "at", "end"):
        assert found[f"W_{name.upper()}"] == getattr(Window, name).offset, name
    assert found["WINDOW"] == ctypes.sizeof(Window)
    assert [found["WINDOWS"], found["READS"], found["WRITES"]] == [WINDOWS, READS, WRITES]


@pytest.fixture
def code() -> MachineCode:
    if not machinecode.available():
        pytest.skip("the machine code is for x86-64 Linux hosts")
    return MachineCode(library.load())


def test_exchange_gives_the_old_offer_and_puts_the_new(code: MachineCode) -> None:
    assert code.exchange_offer(0x141) == 0
    assert code.shared.offer == 0x141
    assert code.exchange_offer(0) == 0x141


def test_code_page_cannot_be_written(code: MachineCode) -> None:
    address = code.entry("exchange")
    pages = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    rights = [
        words[1] for words in pages if int(words[0].split("-")[0], 16) <= address < int(words[0].split("-")[1], 16)
    ]
    assert rights == ["r-xp"]
    assert ctypes.sizeof(Shared) <= PAGE

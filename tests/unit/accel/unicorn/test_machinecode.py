"""The machine code: what is kept is what its source assembles to, and lies where Python looks for it."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from tests.support.assemble import assemble

from varan.accel.unicorn import layout, library, machinecode
from varan.accel.unicorn.machinecode import CODE, ENTRIES, PAGE, SOURCE, MachineCode, Shared


@pytest.mark.interop
def test_code_is_what_its_source_assembles_to(tmp_path: Path) -> None:
    code, labels = assemble(SOURCE, tmp_path)
    assert code[:PAGE].rstrip(b"\0") == CODE
    assert {name: labels[name] for name in ENTRIES} == ENTRIES
    for name in (
        "do_interrupt",
        "flush_tlb",
        "page_marks",
        "page_count",
        "clock_leaves",
        "stop",
        "stopped",
        "nmi",
        "offer",
    ):
        assert labels[name] - PAGE == getattr(Shared, name).offset, name


def test_offsets_in_the_source_are_those_of_the_layout() -> None:
    constants = {
        words[1].rstrip(","): int(words[2], 0)
        for words in map(str.split, SOURCE.splitlines())
        if words and words[0] == ".set"
    }
    assert constants["C_ENV"] == layout.ENV
    assert constants["C_ENGINE"] == layout.Cpu.engine.offset
    assert constants["C_EXIT_REQUEST"] == layout.Cpu.exit_request.offset
    assert constants["ENGINE_STOP_REQUEST"] == layout.Handle.stop_request.offset
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
    }
    assert {name: constants[name] for name in names} == {
        name: getattr(layout.Env, member).offset for name, member in names.items()
    }


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

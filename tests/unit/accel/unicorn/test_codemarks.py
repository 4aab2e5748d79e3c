"""The table of pages that have held code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.cpu_bench import R8, R9, RDI, CpuBench
from tests.support.programs import PROGRAMS

from varan.accel.unicorn import codemarks, machinecode
from varan.accel.unicorn.codemarks import CodeMarks
from varan.accel.unicorn.vcpu import UnicornVcpu


@pytest.fixture
def bench() -> Iterator[CpuBench]:
    if not machinecode.available():
        pytest.skip("the machine code is for x86-64 Linux hosts")
    made = CpuBench("unicorn")
    yield made
    made.close()


def marks(bench: CpuBench) -> CodeMarks:
    vcpu = bench.vcpu
    assert isinstance(vcpu, UnicornVcpu)
    assert vcpu.engine
    assert vcpu.marks is not None
    return vcpu.marks


def call(bench: CpuBench, program: str) -> list[int]:
    """What the code at 0x10000 returns, called twice."""
    bench.memory.write_ram(0x1_0000, PROGRAMS[program].code)
    state = bench.start("long", "call_twice")
    state.gprs[RDI] = 0x1_0000
    gprs = bench.finish(state).gprs
    return [gprs[R8], gprs[R9]]


def test_pages_that_run_are_marked(bench: CpuBench) -> None:
    assert marks(bench).count() == 0
    call(bench, "return_1")
    assert marks(bench).count() == 2


def test_guest_runs_on_after_all_is_dropped(bench: CpuBench) -> None:
    assert call(bench, "return_1") == [1, 1]
    marks(bench).clear()
    assert marks(bench).count() == 0
    assert call(bench, "return_2") == [2, 2]
    assert marks(bench).count() == 2


def test_marks_are_dropped_once_they_have_grown_by_much(bench: CpuBench, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    table = marks(bench)
    monkeypatch.setattr(table, "_clock", lambda: now)
    monkeypatch.setattr(table, "_due", 0.0)
    monkeypatch.setattr(codemarks, "_GROWTH", 1)
    table.tend()
    call(bench, "return_1")
    table.tend()
    assert table.count() == 2, "too soon to look"
    now = 100.0
    table.tend()
    assert table.count() == 0
    call(bench, "return_1")
    now = 200.0
    table.tend()
    now = 300.0
    table.tend()
    assert table.count() == 2, "no more than the working set"


def test_only_pages_that_ran_are_told_to_hold_code(bench: CpuBench) -> None:
    call(bench, "return_1")
    table = marks(bench)
    assert table.any(0x1_0000, 0x1_0001)
    assert table.any(0xFFFF, 0x1_0001)
    assert not table.any(0xF000, 0x1_0000)
    assert not table.any(0x1_1000, 0x1_3000)

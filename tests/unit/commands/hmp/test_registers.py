from __future__ import annotations

import struct

import pytest

from varan.accel.state import Activity, CpuState, Segment, Table
from varan.commands.hmp import registers
from varan.commands.hmp.errors import HmpError


def long_mode() -> CpuState:
    return CpuState(
        gprs=[0x1111_2222_3333_4444 + at for at in range(16)],
        rip=0xFFFFFFFF81000000,
        rflags=0x246,
        cs=Segment(0x10, 0, 0xFFFFFFFF, 0xA09B),
        ss=Segment(0x18, 0, 0xFFFFFFFF, 0xC093),
        gs=Segment(0, 0xFFFF888000000000, 0xFFFFFFFF, 0xC093),
        gdt=Table(0xFFFFFE0000001000, 0x7F),
        cr0=0x80050033,
        cr3=0x1000,
        efer=0xD01,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rax", 0x1111222233334444),
        ("eax", 0x33334444),
        ("rsp", 0x1111222233334448),
        ("sp", 0x1111222233334448),
        ("r15", 0x1111222233334453),
        ("rip", 0xFFFFFFFF81000000),
        ("pc", 0xFFFFFFFF81000000),
        ("cs", 0x10),
        ("gs_base", 0xFFFF888000000000),
        ("gdt_base", 0xFFFFFE0000001000),
        ("cr3", 0x1000),
        ("eflags", 0x246),
        ("dr7", 0x400),
    ],
)
def test_read(name: str, value: int) -> None:
    assert registers.read(long_mode(), name) == value


def test_pc_counts_from_the_code_segment() -> None:
    assert registers.read(CpuState(), "pc") == 0xFFFFFFF0


def test_every_listed_name_can_be_read() -> None:
    for name in registers.names():
        assert isinstance(registers.read(CpuState(), name), int)


def test_unknown_register_is_named() -> None:
    with pytest.raises(HmpError, match=r"\$rxx"):
        registers.read(CpuState(), "rxx")


def test_long_mode_shows_64_bit_registers() -> None:
    text = "\n".join(registers.lines(long_mode()))
    assert "RAX=1111222233334444 RBX=1111222233334447" in text
    assert "R15=1111222233334453" in text
    assert "RIP=ffffffff81000000 RFL=00000246 [---Z-P-] CPL=0 II=0 HLT=0" in text
    assert "CS =0010 0000000000000000 ffffffff 00a09b00" in text
    assert "GS =0000 ffff888000000000 ffffffff 00c09300" in text
    assert "GDT=     fffffe0000001000 0000007f" in text
    assert "CR0=80050033 CR2=0000000000000000 CR3=0000000000001000 CR4=00000000" in text


def test_real_mode_shows_32_bit_registers() -> None:
    text = "\n".join(registers.lines(CpuState(activity=Activity.HALTED)))
    assert "EAX=00000000" in text
    assert "EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 HLT=1" in text
    assert "CS =f000 ffff0000 0000ffff 00009b00" in text
    assert "RAX" not in text


@pytest.mark.parametrize(
    ("state", "level"),
    [
        (CpuState(), 0),
        (CpuState(cr0=1, ss=Segment(access=0xF3)), 3),
        (CpuState(cr0=1, rflags=1 << 17), 3),
    ],
)
def test_privilege(state: CpuState, level: int) -> None:
    assert registers.privilege(state) == level


def test_fpu_state_after_reset() -> None:
    text = "\n".join(registers.lines(CpuState(), everything=True))
    assert "FCW=037f FSW=0000 [ST=0] FTW=00 MXCSR=00001f80" in text
    assert f"XMM00={'0' * 32} XMM01={'0' * 32}" in text


def test_fpu_and_vector_registers_come_from_the_xsave_area() -> None:
    area = bytearray(1088)
    struct.pack_into("<HHB", area, 0, 0x27F, 3 << 11, 0x80)
    struct.pack_into("<QH", area, 32, 0x8000000000000000, 0x3FFF)
    area[160:176] = bytes(range(16))
    area[512:520] = struct.pack("<Q", 7)
    area[576:592] = bytes(range(16, 32))
    text = "\n".join(registers.lines(CpuState(xsave=bytes(area)), everything=True))
    assert "FCW=027f FSW=1800 [ST=3] FTW=80" in text
    assert "FPR0=8000000000000000 3fff" in text
    assert f"YMM00={bytes(range(32))[::-1].hex()}" in text

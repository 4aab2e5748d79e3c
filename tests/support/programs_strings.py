"""Programs that move strings through a port: REP INS and OUTS of each size, in real and long mode."""

from __future__ import annotations

from tests.support.guest_code import Program, program

_SOURCE_16 = """
.code16
    rep {name}
1:  hlt
    jmp 1b
"""
_SOURCE_64 = """
.code64
    rep {name}
1:  hlt
    jmp 1b
    .org 0x20
    inc ebx
    iretq
    .org 0x30
    mov qword ptr [0x5050], 0xa007
    add rsp, 8
    inc ebx
    iretq
"""
_HANDLERS = "ffc348cf" + "00" * 12 + "48c704255050000007a00000" + "4883c408ffc348cf"
_HALT = "f4ebfd"
_CODE_16 = {
    "insb": "f36c",
    "insw": "f36d",
    "insd": "66f36d",
    "outsb": "f36e",
    "outsw": "f36f",
    "outsd": "66f36f",
}
_CODE_64 = {
    "insb": "f36c",
    "insw": "66f36d",
    "insd": "f36d",
    "outsb": "f36e",
    "outsw": "66f36f",
    "outsd": "f36f",
}

PROGRAMS: dict[str, Program] = {
    **{
        f"rep_{name}_16": program(f"REP {name.upper()}", _SOURCE_16.format(name=name), code + _HALT)
        for name, code in _CODE_16.items()
    },
    **{
        f"rep_{name}_64": program(
            f"REP {name.upper()}; handlers that count in EBX: of interrupts at +0x20, of faults at page 10 at +0x30",
            _SOURCE_64.format(name=name),
            (code + _HALT).ljust(64, "0") + _HANDLERS,
        )
        for name, code in _CODE_64.items()
    },
}

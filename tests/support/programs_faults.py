"""Programs that fault, and the handlers that say how."""

from __future__ import annotations

from tests.support.guest_code import Program, program

PROGRAMS: dict[str, Program] = {
    "vectors_64": program(
        "a handler each 16 bytes for vectors 0-31: keeps what it finds at 0x9100 and halts",
        """
.code64
    .set vector, 0
    .rept 32
    .balign 16
    .if ((1 << vector) & 0x227d00) == 0
    push 0
    .endif
    push vector
    .byte 0xe9
    .long common - . - 4
    .set vector, vector + 1
    .endr
common:
    pop [0x9100]
    pop [0x9108]
    pop [0x9110]
    pop [0x9118]
    pop [0x9120]
    pop [0x9128]
    pop [0x9130]
    mov rax, cr2
    mov [0x9138], rax
    mov [0x9140], rsp
    hlt
""",
        "6a006a00e9f00100000f1f80000000006a006a01e9e00100000f1f80000000006a006a02e9d00100000f1f8000000000",
        "6a006a03e9c00100000f1f80000000006a006a04e9b00100000f1f80000000006a006a05e9a00100000f1f8000000000",
        "6a006a06e9900100000f1f80000000006a006a07e9800100000f1f80000000006a08e972010000660f1f840000000000",
        "6a006a09e9600100000f1f80000000006a0ae952010000660f1f8400000000006a0be942010000660f1f840000000000",
        "6a0ce932010000660f1f8400000000006a0de922010000660f1f8400000000006a0ee912010000660f1f840000000000",
        "6a006a0fe9000100000f1f80000000006a006a10e9f00000000f1f80000000006a11e9e2000000660f1f840000000000",
        "6a006a12e9d00000000f1f80000000006a006a13e9c00000000f1f80000000006a006a14e9b00000000f1f8000000000",
        "6a15e9a2000000660f1f8400000000006a006a16e9900000000f1f80000000006a006a17e9800000000f1f8000000000",
        "6a006a18e9700000000f1f80000000006a006a19e9600000000f1f80000000006a006a1ae9500000000f1f8000000000",
        "6a006a1be9400000000f1f80000000006a006a1ce9300000000f1f80000000006a006a1de9200000000f1f8000000000",
        "6a006a1ee9100000000f1f80000000006a006a1fe9000000008f0425009100008f0425089100008f0425109100008f04",
        "25189100008f0425209100008f0425289100008f0425309100000f20d048890425389100004889242540910000f4",
    ),
    "vectors_32": program(
        "the same in 32-bit mode, with EIP, CS, EFLAGS and the next two words of the stack",
        """
.code32
    .set vector, 0
    .rept 32
    .balign 16
    .if ((1 << vector) & 0x227d00) == 0
    push 0
    .endif
    push vector
    .byte 0xe9
    .long common - . - 4
    .set vector, vector + 1
    .endr
common:
    pop [0x9100]
    pop [0x9108]
    pop [0x9110]
    pop [0x9118]
    pop [0x9120]
    pop [0x9128]
    pop [0x9130]
    mov eax, cr2
    mov [0x9138], eax
    mov [0x9140], esp
    hlt
""",
        "6a006a00e9f00100000f1f80000000006a006a01e9e00100000f1f80000000006a006a02e9d00100000f1f8000000000",
        "6a006a03e9c00100000f1f80000000006a006a04e9b00100000f1f80000000006a006a05e9a00100000f1f8000000000",
        "6a006a06e9900100000f1f80000000006a006a07e9800100000f1f80000000006a08e972010000660f1f840000000000",
        "6a006a09e9600100000f1f80000000006a0ae952010000660f1f8400000000006a0be942010000660f1f840000000000",
        "6a0ce932010000660f1f8400000000006a0de922010000660f1f8400000000006a0ee912010000660f1f840000000000",
        "6a006a0fe9000100000f1f80000000006a006a10e9f00000000f1f80000000006a11e9e2000000660f1f840000000000",
        "6a006a12e9d00000000f1f80000000006a006a13e9c00000000f1f80000000006a006a14e9b00000000f1f8000000000",
        "6a15e9a2000000660f1f8400000000006a006a16e9900000000f1f80000000006a006a17e9800000000f1f8000000000",
        "6a006a18e9700000000f1f80000000006a006a19e9600000000f1f80000000006a006a1ae9500000000f1f8000000000",
        "6a006a1be9400000000f1f80000000006a006a1ce9300000000f1f80000000006a006a1de9200000000f1f8000000000",
        "6a006a1ee9100000000f1f80000000006a006a1fe9000000008f05009100008f05089100008f05109100008f05189100",
        "008f05209100008f05289100008f05309100000f20d0a338910000892540910000f4",
    ),
    "divide_error": program(
        "#DE",
        """
.code64
xor ecx, ecx
div ecx
""",
        "31c9f7f1",
    ),
    "single_step": program(
        "#DB after one instruction",
        """
.code64
pushfq
or dword ptr [rsp], 0x100
popfq
nop
hlt
""",
        "9c810c24000100009d90f4",
    ),
    "watch": program(
        "a hardware breakpoint on the HLT",
        """
.code64
lea rax, [rip + 1f]
mov dr0, rax
mov eax, 0x401
mov dr7, rax
nop
jmp 1f
1: hlt
""",
        "488d050e0000000f23c0b8010400000f23f890eb00f4",
    ),
    "breakpoint": program(
        "#BP",
        """
.code64
int3
""",
        "cc",
    ),
    "undefined": program(
        "#UD",
        """
.code64
ud2
""",
        "0f0b",
    ),
    "undefined_32": program(
        "#UD",
        """
.code32
ud2
""",
        "0f0b",
    ),
    "no_fpu": program(
        "#NM",
        """
.code64
mov rax, cr0
or eax, 8
mov cr0, rax
fldz
""",
        "0f20c083c8080f22c0d9ee",
    ),
    "bad_selector": program(
        "#GP with a selector",
        """
.code64
mov eax, 0x1238
mov ds, eax
""",
        "b8381200008ed8",
    ),
    "page_read": program(
        "#PF, a read",
        """
.code64
mov eax, [0x40000000]
""",
        "8b042500000040",
    ),
    "page_write": program(
        "#PF, a write",
        """
.code64
mov [0x40000010], eax
""",
        "89042510000040",
    ),
    "page_fetch": program(
        "#PF, a fetch",
        """
.code64
mov eax, 0x40000020
jmp rax
""",
        "b820000040ffe0",
    ),
    "int_0d": program(
        "INT 13 from wherever",
        """
.code64
int 13
""",
        "cd0d",
    ),
    "syscall_off": program(
        "SYSCALL without EFER.SCE",
        """
.code64
syscall
""",
        "0f05",
    ),
    "sysenter_off": program(
        "SYSENTER with SYSENTER_CS zero",
        """
.code64
sysenter
""",
        "0f34",
    ),
    "null_task": program(
        "loads a null task register, then returns to user mode at +0x20, which does INT 0x30",
        """
.code64
    xor eax, eax
    ltr ax
    push 0x33
    push 0xb000
    push 0x202
    push 0x3b
    push 0x8020
    iretq
    .org 0x20
    int 0x30
    .org 0x60
    hlt
""",
        "31c00f00d86a336800b0000068020200006a3b682080000048cf000000000000cd300000000000000000000000000000",
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
        "f4",
    ),
}

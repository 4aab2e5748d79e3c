"""Programs for several CPUs and their local APICs."""

from __future__ import annotations

from tests.support.guest_code import Program, program

PROGRAMS: dict[str, Program] = {
    "ap_real": program(
        "an application processor in real mode: counts its start at 0x9000, then sleeps with interrupts on",
        """
.code16
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7000
    inc word ptr [0x9000]
    sti
1:  hlt
    jmp 1b
""",
        "31c08ed88ed0bc0070ff060090fbf4ebfd",
    ),
    "ap_handlers": program(
        "for real mode: an NMI counts at 0x9010, the handler 16 bytes later at 0x9018",
        """
.code16
    inc word ptr [0x9010]
    iret
    .org 16
    inc word ptr [0x9018]
    iret
""",
        "ff061090cf0000000000000000000000ff061890cf",
    ),
    "start_others": program(
        "starts all other CPUs at page 0x10 through the local APIC: INIT, two SIPIs",
        """
.code64
    mov ebx, 0xfee00000
    mov dword ptr [rbx + 0x300], 0xc4500
    mov dword ptr [rbx + 0x300], 0xc4610
    mov dword ptr [rbx + 0x300], 0xc4610
    hlt
""",
        "bb0000e0fec7830003000000450c00c7830003000010460c00c7830003000010460c00f4",
    ),
    "apic_id": program(
        "stores the number and the version of its own local APIC at RDI",
        """
.code64
    mov ebx, 0xfee00000
    mov eax, [rbx + 0x20]
    mov [rdi], eax
    mov eax, [rbx + 0x30]
    mov [rdi + 4], eax
    hlt
""",
        "bb0000e0fe8b432089078b4330894704f4",
    ),
    "apic_base": program(
        "stores IA32_APIC_BASE at RDI, turns the local APIC off, and stores it again",
        """
.code64
    mov ecx, 0x1b
    rdmsr
    mov [rdi], eax
    mov [rdi + 4], edx
    and eax, 0xfffff7ff
    wrmsr
    rdmsr
    mov [rdi + 8], eax
    mov [rdi + 12], edx
    hlt
""",
        "b91b0000000f32890789570425fff7ffff0f300f3289470889570cf4",
    ),
    "task_priority": program(
        "sets CR8 to 5 for a while with interrupts on, then to 0; stores CR8 and the count at 0x9018 meanwhile",
        """
.code64
    mov eax, 5
    mov cr8, rax
    sti
1:  dec ecx
    jnz 1b
    mov rdx, cr8
    mov [0x9020], rdx
    mov eax, [0x9018]
    mov [0x9028], eax
    xor eax, eax
    mov cr8, rax
2:  hlt
    jmp 2b
""",
        "b805000000440f22c0fbffc975fc440f20c248891425209000008b0425189000008904252890000031c0440f22c0f4eb",
        "fd",
    ),
    "apic_handler": program(
        "a handler that counts at 0x9018 and ends the interrupt",
        """
.code64
    push rax
    inc dword ptr [0x9018]
    mov eax, 0xfee000b0
    mov dword ptr [rax], 0
    pop rax
    iretq
""",
        "50ff042518900000b8b000e0fec700000000005848cf",
    ),
    "ipi_self": program(
        "turns the local APIC on and sends interrupt 0x41 to itself ECX times, sleeping after each",
        """
.code64
    mov ebx, 0xfee00000
    mov dword ptr [rbx + 0xf0], 0x1ff
1:  cli
    mov dword ptr [rbx + 0x300], 0x40041
    sti
    hlt
    dec ecx
    jnz 1b
    cli
    hlt
""",
        "bb0000e0fec783f0000000ff010000fac7830003000041000400fbf4ffc975effaf4",
    ),
    "call_rounds": program(
        "for each new round at RDI: calls RSI, stores what it returns at RDI + 8 and the round at RDI + 4",
        """
.code64
1:  pause
    mov ebx, [rdi]
    cmp ebx, [rdi + 4]
    je 1b
    call rsi
    mov [rdi + 8], eax
    mov [rdi + 4], ebx
    jmp 1b
""",
        "f3908b1f3b5f0474f7ffd6894708895f04ebed",
    ),
    "patch_rounds": program(
        "ECX rounds: makes `mov eax, round; ret` at RSI, lets the other CPU call it; 1 at RDI + 12 when all were right",
        """
.code64
    xor ebx, ebx
    mov byte ptr [rsi], 0xb8
    mov byte ptr [rsi + 5], 0xc3
1:  inc ebx
    mov [rsi + 1], ebx
    mov [rdi], ebx
2:  pause
    cmp [rdi + 4], ebx
    jne 2b
    cmp [rdi + 8], ebx
    jne 3f
    dec ecx
    jnz 1b
    mov dword ptr [rdi + 12], 1
    hlt
3:  mov dword ptr [rdi + 12], 2
    hlt
""",
        "31dbc606b8c64605c3ffc3895e01891ff390395f0475f9395f08750cffc975e9c7470c01000000f4c7470c02000000f4",
    ),
}

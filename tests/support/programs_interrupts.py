"""Programs about modes, interrupts and system calls."""

from __future__ import annotations

from tests.support.guest_code import Program, program

PROGRAMS: dict[str, Program] = {
    "modes": program(
        "real, protected, long and real mode again, with a HLT in each",
        """
.code16
start:
    mov ax, 0x1234
    mov es, ax
    hlt
    lgdt [gdtr - start + 0x8000]
    mov eax, cr0
    or eax, 1
    mov cr0, eax
    .byte 0xea
    .word protected - start + 0x8000, 8
.code32
protected:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0x7000
    mov ebx, 0xcafebabe
    hlt
    mov dword ptr [0x1000], 0x2007
    mov dword ptr [0x2000], 0x3007
    mov dword ptr [0x3000], 0x87
    mov eax, 0x20
    mov cr4, eax
    mov eax, 0x1000
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    .byte 0xea
    .long long - start + 0x8000
    .word 0x18
.code64
long:
    movabs r15, 0x1122334455667788
    mov ecx, 0xc0000101
    mov eax, 0x12345000
    mov edx, 0x7fff
    wrmsr
    hlt
    .byte 0xff, 0x2c, 0x25
    .long back - start + 0x8000
back:
    .long compatible - start + 0x8000
    .word 8
.code32
compatible:
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    .byte 0xea
    .long narrow - start + 0x8000
    .word 0x20
.code16
narrow:
    mov ax, 0x28
    mov ss, ax
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    .byte 0xea
    .word real - start + 0x8000, 0
real:
    mov dx, 0x4242
    hlt
    .balign 8
gdtr:
    .word 47
    .long gdt - start + 0x8000
    .balign 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff, 0x00009b000000ffff, 0x000093000000ffff
""",
        "b834128ec0f40f0116d0800f20c06683c8010f22c0ea1a80080066b810008ed88ec08ed0bc00700000bbbebafecaf4c7",
        "050010000007200000c7050020000007300000c7050030000087000000b8200000000f22e0b8001000000f22d8b98000",
        "00c00f320d000100000f300f20c00d000000800f22c0ea7d800000180049bf8877665544332211b9010100c0b8005034",
        "12baff7f00000f30f4ff2c25a0800000a680000008000f20c025ffffff7f0f22c0eab88000002000b828008ed00f20c0",
        "24fe0f22c0eaca800000ba4242f466902f00d880000066900000000000000000ffff0000009bcf00ffff00000093cf00",
        "ffff0000009baf00ffff0000009b0000ffff000000930000",
    ),
    "sleeper_16": program(
        "waits for interrupts; the handler at +0x20 counts them in EBX",
        """
.code16
1:  sti
    hlt
    jmp 1b
    .org 0x20
    inc ebx
    iret
""",
        "fbf4ebfc000000000000000000000000000000000000000000000000000000006643cf",
    ),
    "sleeper_32": program(
        "waits for interrupts; the handler at +0x20 counts them in EBX",
        """
.code32
1:  sti
    hlt
    jmp 1b
    .org 0x20
    inc ebx
    iretd
""",
        "fbf4ebfc0000000000000000000000000000000000000000000000000000000043cf",
    ),
    "sleeper_64": program(
        "waits for interrupts; the handler at +0x20 counts them in EBX",
        """
.code64
1:  sti
    hlt
    jmp 1b
    .org 0x20
    inc ebx
    iretq
""",
        "fbf4ebfc00000000000000000000000000000000000000000000000000000000ffc348cf",
    ),
    "masked_16": program(
        "halts with interrupts masked, says so in EDX when it goes on; handler at +0x20",
        """
.code16
cli
hlt
mov edx, 1
hlt
.org 0x20
inc ebx
iret
""",
        "faf466ba01000000f400000000000000000000000000000000000000000000006643cf",
    ),
    "masked_32": program(
        "halts with interrupts masked, says so in EDX when it goes on; handler at +0x20",
        """
.code32
cli
hlt
mov edx, 1
hlt
.org 0x20
inc ebx
iretd
""",
        "faf4ba01000000f400000000000000000000000000000000000000000000000043cf",
    ),
    "masked_64": program(
        "halts with interrupts masked, says so in EDX when it goes on; handler at +0x20",
        """
.code64
cli
hlt
mov edx, 1
hlt
.org 0x20
inc ebx
iretq
""",
        "faf4ba01000000f4000000000000000000000000000000000000000000000000ffc348cf",
    ),
    "shadow_16": program(
        "STI with an interrupt waiting: the handler at +0x20 keeps in EDI how far ESI had come",
        """
.code16
xor esi, esi
nop
sti
inc esi
inc esi
cli
hlt
.org 0x20
mov edi, esi
inc ebx
iret
""",
        "6631f690fb66466646faf40000000000000000000000000000000000000000006689f76643cf",
    ),
    "shadow_32": program(
        "STI with an interrupt waiting: the handler at +0x20 keeps in EDI how far ESI had come",
        """
.code32
xor esi, esi
nop
sti
inc esi
inc esi
cli
hlt
.org 0x20
mov edi, esi
inc ebx
iretd
""",
        "31f690fb4646faf400000000000000000000000000000000000000000000000089f743cf",
    ),
    "shadow_64": program(
        "STI with an interrupt waiting: the handler at +0x20 keeps in EDI how far ESI had come",
        """
.code64
xor esi, esi
nop
sti
inc esi
inc esi
cli
hlt
.org 0x20
mov edi, esi
inc ebx
iretq
""",
        "31f690fbffc6ffc6faf40000000000000000000000000000000000000000000089f7ffc348cf",
    ),
    "two_steps_16": program(
        "ESI counts instructions; the handler at +0x20 keeps it in EDI",
        """
.code16
inc esi
inc esi
inc esi
cli
hlt
.org 0x20
mov edi, esi
inc ebx
iret
""",
        "664666466646faf40000000000000000000000000000000000000000000000006689f76643cf",
    ),
    "two_steps_32": program(
        "ESI counts instructions; the handler at +0x20 keeps it in EDI",
        """
.code32
inc esi
inc esi
inc esi
cli
hlt
.org 0x20
mov edi, esi
inc ebx
iretd
""",
        "464646faf400000000000000000000000000000000000000000000000000000089f743cf",
    ),
    "two_steps_64": program(
        "ESI counts instructions; the handler at +0x20 keeps it in EDI",
        """
.code64
inc esi
inc esi
inc esi
cli
hlt
.org 0x20
mov edi, esi
inc ebx
iretq
""",
        "ffc6ffc6ffc6faf400000000000000000000000000000000000000000000000089f7ffc348cf",
    ),
    "spin_16": program(
        "runs until the handler at +0x20 has set EDI, then INT 0x30, whose handler at +0x40 halts",
        """
.code16
1:  cmp edi, 0
    je 1b
    int 0x30
    .org 0x20
    mov edi, 1
    mov edx, esp
    iret
    .org 0x40
    mov ecx, cs
    hlt
""",
        "6683ff0074facd3000000000000000000000000000000000000000000000000066bf010000006689e2cf000000000000",
        "00000000000000000000000000000000668cc9f4",
    ),
    "spin_32": program(
        "runs until the handler at +0x20 has set EDI, then INT 0x30, whose handler at +0x40 halts",
        """
.code32
1:  cmp edi, 0
    je 1b
    int 0x30
    .org 0x20
    mov edi, 1
    mov edx, esp
    iretd
    .org 0x40
    mov ecx, cs
    hlt
""",
        "83ff0074fbcd3000000000000000000000000000000000000000000000000000bf0100000089e2cf0000000000000000",
        "000000000000000000000000000000008cc9f4",
    ),
    "spin_64": program(
        "runs until the handler at +0x20 has set EDI, then INT 0x30, whose handler at +0x40 halts",
        """
.code64
1:  cmp edi, 0
    je 1b
    int 0x30
    .org 0x20
    mov edi, 1
    mov edx, esp
    iretq
    .org 0x40
    mov ecx, cs
    hlt
""",
        "83ff0074fbcd3000000000000000000000000000000000000000000000000000bf0100000089e248cf00000000000000",
        "000000000000000000000000000000008cc9f4",
    ),
    "nmi_16": program(
        "halts; the NMI handler at +0x20 writes port 0x80, keeps in EDI how deep it nests, counts in EBX",
        """
.code16
1:  hlt
    jmp 1b
    .org 0x20
    inc esi
    cmp edi, esi
    jae 1f
    mov edi, esi
1:  inc ebx
    out 0x80, al
    mov ecx, 200
2:  dec ecx
    jnz 2b
    dec esi
    iret
""",
        "f4ebfd000000000000000000000000000000000000000000000000000000000066466639f773036689f76643e68066b9",
        "c8000000664975fc664ecf",
    ),
    "nmi_32": program(
        "halts; the NMI handler at +0x20 writes port 0x80, keeps in EDI how deep it nests, counts in EBX",
        """
.code32
1:  hlt
    jmp 1b
    .org 0x20
    inc esi
    cmp edi, esi
    jae 1f
    mov edi, esi
1:  inc ebx
    out 0x80, al
    mov ecx, 200
2:  dec ecx
    jnz 2b
    dec esi
    iretd
""",
        "f4ebfd00000000000000000000000000000000000000000000000000000000004639f7730289f743e680b9c800000049",
        "75fd4ecf",
    ),
    "nmi_64": program(
        "halts; the NMI handler at +0x20 writes port 0x80, keeps in EDI how deep it nests, counts in EBX",
        """
.code64
1:  hlt
    jmp 1b
    .org 0x20
    inc esi
    cmp edi, esi
    jae 1f
    mov edi, esi
1:  inc ebx
    out 0x80, al
    mov ecx, 200
2:  dec ecx
    jnz 2b
    dec esi
    iretq
""",
        "f4ebfd0000000000000000000000000000000000000000000000000000000000ffc639f7730289f7ffc3e680b9c80000",
        "00ffc975fcffce48cf",
    ),
    "syscall_64": program(
        "SYSRET to +0x20, SYSCALL to +0x40 and back, then INT 0x30 (halts at +0x60); keeps R11, RCX, CS, SS, flags",
        """
.code64
    mov ecx, 0x8020
    mov r11d, 0x202
    sysretq
    .org 0x20
    mov r8d, cs
    mov r9d, ss
    stc
    std
    syscall
    mov r10, r11
    int 0x30
    .org 0x40
    mov r12d, cs
    mov r13d, ss
    mov r14, rcx
    pushfq
    pop r15
    sysretq
    .org 0x60
    hlt
""",
        "b92080000041bb02020000480f07000000000000000000000000000000000000418cc8418cd1f9fd0f054d89dacd3000",
        "00000000000000000000000000000000418ccc418cd54989ce9c415f480f070000000000000000000000000000000000",
        "f4",
    ),
    "syscall_loop": program(
        "ECX calls of SYSCALL from user mode, counted in RBX by the kernel; INT 0x30 halts at +0x60",
        """
.code64
    mov r12d, 0x4000
    mov ecx, 0x8020
    mov r11d, 0x202
    sysretq
    .org 0x20
    mov esi, r12d
1:  syscall
    dec esi
    jnz 1b
    int 0x30
    .org 0x40
    inc rbx
    sysretq
    .org 0x60
    hlt
""",
        "41bc00400000b92080000041bb02020000480f070000000000000000000000004489e60f05ffce75facd300000000000",
        "0000000000000000000000000000000048ffc3480f070000000000000000000000000000000000000000000000000000",
        "f4",
    ),
    "sysenter_64": program(
        "SYSENTER to +0x40 and SYSEXIT back to user mode, then INT 0x30 (halts at +0x60)",
        """
.code64
    .org 0x20
    sysenter
    .org 0x30
    mov r8d, cs
    mov r9d, ss
    int 0x30
    .org 0x40
    mov r12d, cs
    mov r13d, ss
    mov r14, rsp
    mov edx, 0x8030
    mov ecx, 0xb000
    rex.w sysexit
    .org 0x60
    hlt
""",
        "00000000000000000000000000000000000000000000000000000000000000000f340000000000000000000000000000",
        "418cc8418cd1cd300000000000000000418ccc418cd54989e6ba30800000b900b00000480f3500000000000000000000",
        "f4",
    ),
    "sysenter_32": program(
        "the same in 32-bit protected mode",
        """
.code32
    .org 0x20
    sysenter
    .org 0x30
    mov ebx, cs
    mov ebp, ss
    int 0x30
    .org 0x40
    mov esi, cs
    mov edi, esp
    mov edx, 0x8030
    mov ecx, 0xb000
    sysexit
    .org 0x60
    hlt
""",
        "00000000000000000000000000000000000000000000000000000000000000000f340000000000000000000000000000",
        "8ccb8cd5cd30000000000000000000008cce89e7ba30800000b900b000000f3500000000000000000000000000000000",
        "f4",
    ),
}

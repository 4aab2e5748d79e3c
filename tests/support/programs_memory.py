"""Programs about memory, devices and running code that changes."""

from __future__ import annotations

from tests.support.guest_code import Program, program

PROGRAMS: dict[str, Program] = {
    "count": program(
        "adds ECX to EBX one by one, then halts",
        """
.code64
1:  inc ebx
    dec ecx
    jnz 1b
    hlt
""",
        "ffc3ffc975faf4",
    ),
    "count_memory": program(
        "the same in memory at 0x9000: a read-modify-write that must not run twice",
        """
.code64
1:  inc dword ptr [0x9000]
    dec ecx
    jnz 1b
    hlt
""",
        "ff042500900000ffc975f5f4",
    ),
    "ports": program(
        "IN and OUT of every size at port 0x100",
        """
.code64
    mov edx, 0x100
    in al, dx
    mov [0x9000], al
    in ax, dx
    mov [0x9002], ax
    in eax, dx
    mov [0x9004], eax
    mov eax, 0x11223344
    out dx, al
    out dx, ax
    out dx, eax
    hlt
""",
        "ba00010000ec8804250090000066ed6689042502900000ed89042504900000b844332211ee66efeff4",
    ),
    "mmio": program(
        "loads and stores of every size at the address in RBX",
        """
.code64
    mov al, [rbx + 1]
    mov [0x9000], al
    mov ax, [rbx + 2]
    mov [0x9002], ax
    mov eax, [rbx + 4]
    mov [0x9004], eax
    mov rax, [rbx + 8]
    mov [0x9008], rax
    movabs rax, 0x1122334455667788
    mov [rbx + 0x11], al
    mov [rbx + 0x12], ax
    mov [rbx + 0x14], eax
    mov [rbx + 0x18], rax
    hlt
""",
        "8a430188042500900000668b430266890425029000008b430489042504900000488b4308488904250890000048b88877",
        "6655443322118843116689431289431448894318f4",
    ),
    "rep_io": program(
        "REP INS and OUTS of every size at port 0x100",
        """
.code64
    cld
    mov edx, 0x100
    mov edi, 0x9000
    mov ecx, 5
    rep insb
    mov edi, 0x9100
    mov ecx, 3
    rep insw
    mov edi, 0x9200
    mov ecx, 2
    rep insd
    mov esi, 0x9300
    mov ecx, 4
    rep outsw
    mov esi, 0x9300
    mov ecx, 3
    rep outsb
    hlt
""",
        "fcba00010000bf00900000b905000000f36cbf00910000b90300000066f36dbf00920000b902000000f36dbe00930000",
        "b90400000066f36fbe00930000b903000000f36ef4",
    ),
    "self_modifying": program(
        "patches the instruction right ahead of itself, ECX times, and adds up what it does in EBX",
        """
.code64
1:  mov [rip + 2f + 1], ecx
2:  mov eax, 0x11223344
    add ebx, eax
    dec ecx
    jnz 1b
    hlt
""",
        "890d01000000b84433221101c3ffc975eff4",
    ),
    "alias": program(
        "code at 0x10000 is run, changed through a no-execute alias at 0x201000, run again",
        """
.code64
    mov edi, 0x10000
    mov byte ptr [rdi], 0xb8
    mov dword ptr [rdi + 1], 1
    mov byte ptr [rdi + 5], 0xc3
    call rdi
    mov r8d, eax
    mov esi, 0x201000
    mov dword ptr [rsi + 1], 2
    call rdi
    mov r9d, eax
    mov dword ptr [rsi + 1], 3
    call rdi
    mov r10d, eax
    mov rax, cr3
    mov cr3, rax
    mov dword ptr [rsi + 1], 4
    call rdi
    mov r11d, eax
    hlt
""",
        "bf00000100c607b8c7470101000000c64705c3ffd74189c0be00102000c7460102000000ffd74189c1c7460103000000",
        "ffd74189c20f20d80f22d8c7460104000000ffd74189c3f4",
    ),
    "call_twice": program(
        "calls the code at RDI, before and after a write to port 0x80",
        """
.code64
    call rdi
    mov r8d, eax
    out 0x80, al
    jmp 1f
1:  call rdi
    mov r9d, eax
    hlt
""",
        "ffd74189c0e680eb00ffd74189c1f4",
    ),
    "return_1": program(
        "returns 1 in EAX",
        """
.code64
mov eax, 1
ret
""",
        "b801000000c3",
    ),
    "return_2": program(
        "returns 2 in EAX",
        """
.code64
mov eax, 2
ret
""",
        "b802000000c3",
    ),
    "forever": program(
        "counts in RBX for ever",
        """
.code64
1: inc rbx
jmp 1b
""",
        "48ffc3ebfb",
    ),
    "relax": program(
        "waits for ever, as a polite loop does",
        """
.code64
1: pause
jmp 1b
""",
        "f390ebfc",
    ),
    "store_rom": program(
        "stores to the address in RBX and loads it back to EAX",
        """
.code64
mov dword ptr [rbx], 0x12345678
mov eax, [rbx]
hlt
""",
        "c703785634128b03f4",
    ),
    "floats": program(
        "x87 and SSE values that must survive",
        """
.code64
    fninit
    fld1
    fldpi
    movq xmm3, rax
    hlt
    faddp
    fistp dword ptr [0x9000]
    movq [0x9008], xmm3
    hlt
""",
        "dbe3d9e8d9eb66480f6ed8f4dec1db1c2500900000660fd61c2508900000f4",
    ),
}

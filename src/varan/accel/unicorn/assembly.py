"""The machine code of `varan.accel.unicorn.machinecode`: `SOURCE` is what was assembled, `CODE` what came out.

A test assembles it again.
"""

from __future__ import annotations

SOURCE = r"""
.intel_syntax noprefix
        # Offsets of varan.accel.unicorn.layout, from the CPU object (C_) and from its register file (E_).
        .set C_ENV, 0x8a50
        .set C_ENGINE, 0x81a8
        .set C_EXIT_REQUEST, 0x15
        .set ENGINE_STOP_REQUEST, 0x56d
        .set E_RAX, 0x00
        .set E_RCX, 0x08
        .set E_RSP, 0x20
        .set E_R11, 0x58
        .set E_RIP, 0x80
        .set E_EFLAGS, 0x88
        .set E_CC_DST, 0x90
        .set E_CC_SRC, 0x98
        .set E_CC_SRC2, 0xa0
        .set E_CC_OP, 0xa8
        .set E_DF, 0xac
        .set E_HFLAGS, 0xb0
        .set E_HFLAGS2, 0xb4
        .set E_CS, 0xd0
        .set E_SS, 0xe8
        .set E_TR, 0x160
        .set E_CR0, 0x1a8
        .set E_EFER, 0x250
        .set E_SYSENTER_CS, 0x12c0
        .set E_SYSENTER_ESP, 0x12c8
        .set E_SYSENTER_EIP, 0x12d0
        .set E_STAR, 0x12d8
        .set E_LSTAR, 0x12e8
        .set E_CSTAR, 0x12f0
        .set E_FMASK, 0x12f8
        .set E_ERROR_CODE, 0x1508
        .set E_IS_INT, 0x150c
        .set E_TASK_PRIORITY, 0x15b4
        .set S_BASE, 8                  # in a segment register
        .set S_LIMIT, 16
        .set S_FLAGS, 20
        .set HF_INHIBIT, 0x08
        .set HF_LMA, 0x4000
        .set HF_CS64, 0x8000
        .set HF2_NMI, 0x04
        .set HF_FROM_EFLAGS, 0x23100    # TF IOPL VM: read from EFLAGS as well, and so would never go away again
        .set IF, 0x200
        .set RF, 0x10000
        .set ARITHMETIC, 0x8d5          # CF PF AF ZF SF OF
        .set CC_OP_EFLAGS, 1
        .set INST_FETCH, 2
        .set PRIORITIZED, 0x200         # in an offer
        .set BOARD_GENERATION, 0        # varan.accel.unicorn.codemarks.Noticeboard
        # varan.core.dataport.Window: its members, its size, how many there are.
        .set W_PORT, 0
        .set W_OPEN_FOR, 4
        .set W_AT, 8
        .set W_END, 16
        .set WINDOW, 24
        .set WINDOWS, 4
        .set READS, 1
        .set WRITES, 2

# void exception(engine, number, cpu): the UC_HOOK_INTR callback. Nothing of the interpreter is on the stack, so the
# library may leave by longjmp when delivery faults.
exception:
        mov     rdi, rdx
        call    sane_tr
        cmp     dword ptr [rdi + C_ENV + E_IS_INT], 0
        je      not_soft
        # The library has moved RIP behind INT n; a fault during its delivery must point at it. (INT3 and INTO are one
        # byte, the others two.)
        mov     rax, -2
        lea     ecx, [rsi - 3]
        cmp     ecx, 1
        adc     rax, 0                  # vector 3
        cmp     esi, 4
        sete    cl
        movzx   ecx, cl
        add     rax, rcx
        add     [rdi + C_ENV + E_RIP], rax
        jmp     [rip + do_interrupt]
not_soft:
        # In long mode the library makes error codes that name an IDT entry from twice its number.
        test    dword ptr [rdi + C_ENV + E_HFLAGS], HF_LMA
        jz      deliver_it
        cmp     esi, 11
        je      selector_code
        cmp     esi, 13
        jne     deliver_it
selector_code:
        mov     eax, [rdi + C_ENV + E_ERROR_CODE]
        test    al, 2
        jz      deliver_it
        sub     eax, 2
        shr     eax, 1
        or      eax, 2
        mov     [rdi + C_ENV + E_ERROR_CODE], eax
deliver_it:
        jmp     [rip + do_interrupt]

# The library kills the process when it needs the stack from a task register that holds no available TSS (a guest
# may load a null selector). An empty one gives #TS instead. Keeps all registers but rax.
sane_tr:
        mov     eax, [rdi + C_ENV + E_TR + S_FLAGS]
        and     eax, 0x8700
        cmp     eax, 0x8100
        je      1f
        mov     dword ptr [rdi + C_ENV + E_TR + S_FLAGS], 0x8900
        mov     dword ptr [rdi + C_ENV + E_TR + S_LIMIT], 0
1:      ret

# bool exec_interrupt(cpu, request): CPUClass.cpu_exec_interrupt; the CPU loop asks before each chain of blocks. It has
# just taken back what makes guest code leave its chain, without a barrier: that store must be seen before the flags are
# read, or a thread that sets a flag and asks for the chain to be left would find neither noticed.
exec_interrupt:
        lock or dword ptr [rsp], 0
        cmp     byte ptr [rip + stop], 0
        jne     stop_now
        cmp     byte ptr [rip + nmi], 0
        je      maskable
        test    byte ptr [rdi + C_ENV + E_HFLAGS2], HF2_NMI
        jnz     maskable
        test    byte ptr [rdi + C_ENV + E_HFLAGS], HF_INHIBIT
        jnz     nothing
        mov     byte ptr [rip + nmi], 0
        or      dword ptr [rdi + C_ENV + E_HFLAGS2], HF2_NMI
        mov     esi, 2
        jmp     deliver
maskable:
        cmp     dword ptr [rip + offer], 0
        je      nothing
        test    dword ptr [rdi + C_ENV + E_EFLAGS], IF
        jz      nothing
        test    byte ptr [rdi + C_ENV + E_HFLAGS], HF_INHIBIT
        jnz     nothing
take:
        mov     eax, [rip + offer]
        test    eax, eax
        jz      nothing
        movzx   esi, al
        test    eax, PRIORITIZED
        jz      unconditional
        mov     ecx, esi
        shr     ecx, 4
        cmp     cl, [rdi + C_ENV + E_TASK_PRIORITY]
        jbe     nothing
unconditional:
        xor     ecx, ecx
        lock cmpxchg [rip + offer], ecx # another thread may withdraw it at this moment, or offer another one
        jne     take
deliver:
        push    rdi
        call    sane_tr
        add     rdi, C_ENV
        mov     edx, 1
        call    [rip + hardware_interrupt]
        pop     rdi
        mov     al, 1
        ret
nothing:
        xor     eax, eax
        ret
stop_now:                               # between two blocks: no instruction runs twice, no hook is skipped
        mov     byte ptr [rip + stop], 0
        mov     byte ptr [rip + stopped], 1
        mov     rax, [rdi + C_ENGINE]
        mov     byte ptr [rax + ENGINE_STOP_REQUEST], 1
        mov     byte ptr [rdi + C_EXIT_REQUEST], 1
        xor     eax, eax
        ret

# uint32 exchange(place, value): an atomic exchange for Python.
exchange:
        mov     eax, esi
        xchg    [rdi], eax
        ret

# void syscall(engine, cpu): SDM volume 2, SYSCALL. The library adds the instruction's length, 2, to RIP afterwards.
syscall:
        push    rbx
        lea     rbx, [rsi + C_ENV]
        test    byte ptr [rbx + E_EFER], 1
        jz      undefined
        mov     rdi, [rbx + E_CC_DST]
        mov     rsi, [rbx + E_CC_SRC]
        mov     rdx, [rbx + E_CC_SRC2]
        mov     ecx, [rbx + E_CC_OP]
        call    [rip + condition_codes]
        mov     ecx, [rbx + E_DF]
        and     ecx, 0x400
        or      eax, ecx
        or      eax, [rbx + E_EFLAGS]
        mov     rcx, [rbx + E_RIP]
        add     rcx, 2
        mov     edx, [rbx + E_HFLAGS]
        mov     esi, [rbx + E_STAR + 4] # the selectors; in legacy mode the low half is the target
        test    edx, HF_LMA
        jz      syscall_legacy
        mov     [rbx + E_RCX], rcx
        and     eax, ~RF
        mov     [rbx + E_R11], rax
        mov     ecx, [rbx + E_FMASK]
        not     ecx
        and     eax, ecx
        mov     rdi, [rbx + E_LSTAR]
        test    edx, HF_CS64
        cmovz   rdi, [rbx + E_CSTAR]
        jmp     enter_kernel
syscall_legacy:
        mov     ecx, ecx
        mov     [rbx + E_RCX], rcx
        and     eax, ~(RF | IF | 0x20000)
        mov     edi, [rbx + E_STAR]
enter_kernel:                           # esi: selectors, eax: flags, rdi: target
        sub     rdi, 2
        mov     [rbx + E_RIP], rdi
        mov     ecx, eax
        and     ecx, ARITHMETIC
        mov     [rbx + E_CC_SRC], rcx
        mov     dword ptr [rbx + E_CC_OP], CC_OP_EFLAGS
        mov     ecx, eax
        shr     ecx, 9
        and     ecx, 2
        neg     ecx
        inc     ecx
        mov     [rbx + E_DF], ecx
        and     eax, ~(ARITHMETIC | 0x400)
        or      eax, 2
        mov     [rbx + E_EFLAGS], rax
flat_segments:                          # esi: the code selector; the stack's is the next one
        and     esi, 0xfffc
        mov     [rbx + E_CS], esi
        add     esi, 8
        mov     [rbx + E_SS], esi
        xor     eax, eax
        mov     [rbx + E_CS + S_BASE], rax
        mov     [rbx + E_SS + S_BASE], rax
        dec     eax
        mov     [rbx + E_CS + S_LIMIT], eax
        mov     [rbx + E_SS + S_LIMIT], eax
        mov     eax, 0xa09b00
        mov     ecx, 0xc09b00
        test    dword ptr [rbx + E_HFLAGS], HF_LMA
        cmovz   eax, ecx
        mov     [rbx + E_CS + S_FLAGS], eax
        mov     dword ptr [rbx + E_SS + S_FLAGS], 0xc09300
        mov     rdi, rbx
        call    [rip + update_hflags]
        and     dword ptr [rbx + E_HFLAGS], ~HF_FROM_EFLAGS
        pop     rbx
        ret
undefined:
        mov     rdi, rbx
        mov     esi, 6
        call    [rip + raise_exception] # does not return

# void sysenter(engine, cpu): SDM volume 2, SYSENTER.
sysenter:
        push    rbx
        lea     rbx, [rsi + C_ENV]
        mov     esi, [rbx + E_SYSENTER_CS]
        test    esi, 0xfffc
        jz      protection
        test    byte ptr [rbx + E_CR0], 1
        jz      protection
        and     dword ptr [rbx + E_EFLAGS], ~(0x20000 | IF | RF)
        mov     rax, [rbx + E_SYSENTER_ESP]
        mov     [rbx + E_RSP], rax
        mov     rax, [rbx + E_SYSENTER_EIP]
        sub     rax, 2
        mov     [rbx + E_RIP], rax
        jmp     flat_segments
protection:
        mov     rdi, rbx
        mov     esi, 13
        call    [rip + raise_exception] # does not return

# bool tlb_fill(cpu, address, size, access, mmu_index, probe, return_address): CPUClass.tlb_fill.
#
# The library lets a page be written at full speed only when its TLB entry cannot be executed, and notices a store to
# translated code only through such an entry. So a page that has never held code gets no executable entry when data is
# read or written (addr_code -1: stores become fast), and one that has held code gets one that never matches but is
# not -1 either (stores stay precise through every mapping). The first fetch from a page marks it and empties the
# TLB, and with it every fast entry for the page; the board's generation tells the other CPUs to empty theirs.
tlb_fill:
        push    rbx
        push    rbp
        push    r12
        push    r13
        push    r14
        sub     rsp, 32
        mov     rbx, rsi
        mov     ebp, r8d
        mov     r12, rdi
        mov     r13d, ecx
        mov     r14d, r9d
        mov     [rsp + 8], edx
fill:
        mov     rax, [rsp + 80]
        mov     [rsp], rax
        mov     rdi, r12
        mov     rsi, rbx
        mov     edx, [rsp + 8]
        mov     ecx, r13d
        mov     r8d, ebp
        mov     r9d, r14d
        call    [rip + library_tlb_fill]
        test    al, al
        jz      filled
        mov     ecx, ebp                # the mode's table: {mask, entries} before the register file
        shl     rcx, 4
        lea     rdx, [r12 + rcx + C_ENV - 0x40]
        mov     rcx, rbx
        shr     rcx, 6                  # 64 bytes an entry, 4096 a page
        and     rcx, [rdx]
        add     rcx, [rdx + 8]
        mov     rsi, [rcx + 24]         # the guest-physical address
        shr     rsi, 12
        cmp     rsi, [rip + page_count]
        jae     marked
        add     rsi, [rip + page_marks]
        cmp     r13d, INST_FETCH
        je      fetch
        mov     rax, -1
        cmp     byte ptr [rsi], 0
        je      1f
        btr     rax, 62
1:      mov     [rcx + 16], rax
        jmp     marked
fetch:
        mov     al, [rip + mark]
        test    [rsi], al
        jnz     marked
        mov     dl, [rsi]
        or      [rsi], al
        test    dl, dl                  # another CPU's code is there: nobody has a fast entry
        jnz     marked
        mov     rax, [rip + board]
        inc     qword ptr [rax + BOARD_GENERATION]
        mov     rdi, r12
        call    [rip + flush_tlb]
        jmp     fill
marked:
        mov     eax, 1
filled:
        add     rsp, 32
        pop     r14
        pop     r13
        pop     r12
        pop     rbp
        pop     rbx
        ret

# int cpuid(engine, cpu): the leaves that are the clock's go to Python, all others (0) to the library.
cpuid:
        mov     eax, [rsi + C_ENV + E_RAX]
        sub     eax, 0x15
        cmp     eax, 1
        ja      not_clock
        jmp     [rip + clock_leaves]
not_clock:
        xor     eax, eax
        ret

# uint32 port_in(engine, port, size, user): the hook for IN. Data ports whose device lends bytes are read here.
port_in:
        lea     r9, [rip + data_read]
        mov     r10d, READS
        call    find_window
        mov     rax, [r8 + W_AT]
        lea     r11, [rax + rdx]
        cmp     r11, [r8 + W_END]
        jae     ask_device
        mov     [r8 + W_AT], r11
        cmp     edx, 2
        ja      in_4
        je      in_2
        movzx   eax, byte ptr [rax]
        ret
in_2:   movzx   eax, word ptr [rax]
        ret
in_4:   mov     eax, [rax]
        ret

# void port_out(engine, port, size, value, user): likewise for OUT.
port_out:
        lea     r9, [rip + data_write]
        mov     r10d, WRITES
        call    find_window
        mov     rax, [r8 + W_AT]
        lea     r11, [rax + rdx]
        cmp     r11, [r8 + W_END]
        jae     ask_device
        mov     [r8 + W_AT], r11
        cmp     edx, 2
        ja      out_4
        je      out_2
        mov     [rax], cl
        ret
out_2:  mov     [rax], cx
        ret
out_4:  mov     [rax], ecx
        ret

# The port's window, open for r10d, in r8; or else goes on, instead of returning, with the function that asks the
# device, whose address is at r9 for data ports and 16 bytes before it for others.
find_window:
        mov     edx, edx                # the size
        mov     r8, [rip + windows]
        lea     r11, [r8 + WINDOW * WINDOWS]
next_window:
        cmp     [r8 + W_PORT], esi
        je      window_found
        add     r8, WINDOW
        cmp     r8, r11
        jb      next_window
        pop     rax
        jmp     [r9 - 16]
window_found:
        cmp     [r8 + W_OPEN_FOR], r10d
        jne     window_closed
        ret
window_closed:
        pop     rax
ask_device:
        jmp     [r9]

        .org    0x1000
do_interrupt:           .quad 0
hardware_interrupt:     .quad 0
condition_codes:        .quad 0
update_hflags:          .quad 0
raise_exception:        .quad 0
library_tlb_fill:       .quad 0
flush_tlb:              .quad 0
page_marks:             .quad 0
page_count:             .quad 0
clock_leaves:           .quad 0
board:                  .quad 0
apic_base:              .quad 0
apic_base_written:      .quad 0
stop:                   .byte 0
stopped:                .byte 0
nmi:                    .byte 0
mark:                   .byte 0
others:                 .byte 0
pause_stops:            .byte 0
                        .word 0
offer:                  .long 0
                        .long 0
windows:                .quad 0
port_read:              .quad 0
port_write:             .quad 0
data_read:              .quad 0
data_write:             .quad 0
"""

CODE = bytes.fromhex(
    "4889d7e86700000083bf5c9f000000742a48c7c0feffffff8d4efd83f9014883d00083fe040f94c10fb6c94801c84801"
    "87d08a0000ff25c50f0000f787008b000000400000742283fe0b740583fe0d75188b87589f0000a802740e83e802d1e8"
    "83c8028987589f0000ff25910f00008b87c48b000025008700003d008100007414c787c48b000000890000c787c08b00"
    "0000000000c3f0830c2400803dc60f0000000f859a000000803dbb0f0000007427f687048b000004751ef687008b0000"
    "08757cc605a00f000000838f048b000004be02000000eb4b833d910f000000745ef787d88a0000000200007452f68700"
    "8b00000875498b05740f000085c0743f0fb6f0a900020000740d89f1c1e9043a8f04a00000762831c9f00fb10d4f0f00"
    "0075d357e846ffffff4881c7508a0000ba01000000ff15cd0e00005fb001c331c0c3c6051f0f000000c605190f000001"
    "488b87a8810000c6806d05000001c647150131c0c389f08707c353488d9e508a0000f68350020000010f844701000048"
    "8bbb90000000488bb398000000488b93a00000008b8ba8000000ff15700e00008b8bac00000081e10004000009c80b83"
    "88000000488b8b800000004883c1028b93b00000008bb3dc120000f7c200400000742e48894b0825fffffeff48894358"
    "8b8bf8120000f7d121c8488bbbe8120000f7c200800000480f44bbf0120000eb1189c948894b0825fffdfcff8bbbd812"
    "00004883ef024889bb8000000089c181e1d508000048898b98000000c783a80000000100000089c1c1e90983e102f7d9"
    "ffc1898bac000000252af3ffff83c8024889838800000081e6fcff000089b3d000000083c60889b3e800000031c04889"
    "83d8000000488983f0000000ffc88983e00000008983f8000000b8009ba000b9009bc000f783b0000000004000000f44"
    "c18983e4000000c783fc0000000093c0004889dfff155e0d000081a3b0000000ffcefdff5bc34889dfbe06000000ff15"
    "4c0d000053488d9e508a00008bb3c0120000f7c6fcff00007435f683a801000001742c81a388000000fffdfcff488b83"
    "c812000048894320488b83d01200004883e80248898380000000e938ffffff4889dfbe0d000000ff15f30c0000535541"
    "54415541564883ec204889f34489c54989fc4189cd4589ce89542408488b442450488904244c89e74889de8b54240844"
    "89e94189e84589f1ff15ba0c000084c00f848000000089e948c1e104498d940c108a00004889d948c1e90648230a4803"
    "4a08488b711848c1ee0c483b359f0c0000734e4803358e0c00004183fd02741748c7c0ffffffff803e007405480fbaf0"
    "3e48894110eb2a8a059e0c0000840675208a16080684d27518488b05700c000048ff004c89e7ff15440c0000e95bffff"
    "ffb8010000004883c420415e415d415c5d5bc38b86508a000083e81583f8017706ff25310c000031c0c34c8d0d6f0c00"
    "0041ba01000000e859000000498b40084c8d1c104d3b581073734d89580883fa02770a74040fb600c30fb700c38b00c3"
    "4c8d0d410c000041ba02000000e823000000498b40084c8d1c104d3b5810733d4d89580883fa02770974038808c36689"
    "08c38908c389d24c8b05ea0b00004d8d5860413930740e4983c0184d39d872f25841ff61f0453950047501c35841ff21"
)

ENTRIES = {
    "exception": 0x0,
    "exec_interrupt": 0x96,
    "exchange": 0x165,
    "syscall": 0x16A,
    "sysenter": 0x2D4,
    "tlb_fill": 0x32D,
    "cpuid": 0x403,
    "port_in": 0x41A,
    "port_out": 0x450,
}
"""Offsets into CODE of what is called from outside."""

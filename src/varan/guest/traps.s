# Interrupt descriptors, exceptions, NMI, and the guest's panic.

    .set CODE_SELECTOR, 0x10
    .set INTERRUPT_GATE, 0x8e
    .set NMI_VECTOR, 2
    .set STUB_SIZE, 16
    .set SAVED_REGISTERS, 15

# Fill the IDT: 32 exceptions, then the 16 interrupts of the controllers.
idt_init:
    xor ecx, ecx
1:  mov eax, ecx
    imul eax, eax, STUB_SIZE
    add eax, offset exception_stubs
    call idt_set
    inc ecx
    cmp ecx, 32
    jb 1b
    mov eax, offset stray_interrupt
2:  call idt_set
    inc ecx
    cmp ecx, 48
    jb 2b
    mov ecx, IRQ_VECTOR
    mov eax, offset timer_interrupt
    call idt_set
    mov ecx, IRQ_VECTOR + 4
    mov eax, offset serial_interrupt
    call idt_set
    lidt [idt_pointer]
    ret

# Vector ECX is handled at address EAX (below 4 GiB). Keeps RCX.
idt_set:
    mov edx, ecx
    shl edx, 4
    mov [idt + rdx], ax
    mov word ptr [idt + rdx + 2], CODE_SELECTOR
    mov word ptr [idt + rdx + 4], INTERRUPT_GATE << 8
    shr eax, 16
    mov [idt + rdx + 6], ax
    mov dword ptr [idt + rdx + 8], 0
    ret

idt_pointer:
    .word 256 * 16 - 1
    .quad idt
no_idt_pointer:
    .word 0
    .quad 0

# One stub of STUB_SIZE bytes per exception: all leave an error code and the vector on the stack.
    .balign STUB_SIZE
exception_stubs:
    .set vector, 0
    .rept 32
    .balign STUB_SIZE
    .if (vector == 8) || (vector == 10) || (vector == 11) || (vector == 12) || (vector == 13) || (vector == 14) || (vector == 17) || (vector == 21)
    .else
    push 0
    .endif
    push vector
    jmp exception
    .set vector, vector + 1
    .endr
    .balign STUB_SIZE

exception:
    push r15
    push r14
    push r13
    push r12
    push r11
    push r10
    push r9
    push r8
    push rbp
    push rdi
    push rsi
    push rbx
    push rdx
    push rcx
    push rax
    cld
    cmp qword ptr [rsp + SAVED_REGISTERS * 8], NMI_VECTOR
    jne panic
    inc qword ptr [nmi_count]
    say "NMI received\n"
    pop rax
    pop rcx
    pop rdx
    pop rbx
    pop rsi
    pop rdi
    pop rbp
    pop r8
    pop r9
    pop r10
    pop r11
    pop r12
    pop r13
    pop r14
    pop r15
    add rsp, 16
    iretq

# Say what happened, on serial port and debug console, and stop for ever. On the stack: registers, vector, error code,
# and what the CPU saved.
panic:
    mov rbx, rsp
    inc qword ptr [panicking]
    cmp qword ptr [panicking], 1
    jne halt_for_ever
    say "\nguest panic: "
    mov rax, [rbx + SAVED_REGISTERS * 8]
    mov rsi, [exception_names + rax * 8]
    call puts
    say " (exception "
    mov rax, [rbx + SAVED_REGISTERS * 8]
    call put_decimal
    say ", error code "
    mov rax, [rbx + SAVED_REGISTERS * 8 + 8]
    call put_hex
    say ")\n"
    mov rsi, offset frame_names
    lea rbp, [rbx + SAVED_REGISTERS * 8 + 16]
    call put_frame
    mov rsi, offset register_names
    mov rbp, rbx
    call put_frame
    say "cr2 "
    mov rax, cr2
    call put_hex16
    say "\n"

halt_for_ever:
    cli
    hlt
    jmp halt_for_ever

# Print names from RSI (four characters each, up to a zero byte) with the quadwords at RBP. Changes RBP.
put_frame:
    cmp byte ptr [rsi], 0
    je 9f
    push rsi
    mov ecx, 4
1:  mov al, [rsi]
    call putc
    inc rsi
    dec ecx
    jnz 1b
    mov rax, [rbp]
    call put_hex16
    pop rsi
    add rsi, 4
    add rbp, 8
    mov al, ' '
    test ebp, 8                         # two to a line: the frame is 16-byte aligned
    jnz 2f
    mov al, '\n'
2:  call putc
    jmp put_frame
9:  mov al, '\n'
    jmp putc

frame_names:
    .asciz "rip cs  rfl rsp ss  "
register_names:
    .asciz "rax rcx rdx rbx rsi rdi rbp r8  r9  r10 r11 r12 r13 r14 r15 "

.macro names first, rest:vararg
    .pushsection .text, 1
.Lname\@: .asciz "\first"
    .popsection
    .quad .Lname\@
    .ifnb \rest
    names \rest
    .endif
.endm

    .balign 8
exception_names:
    names "divide error", "debug", "NMI", "breakpoint", "overflow", "bound range", "invalid opcode", "no FPU"
    names "double fault", "FPU overrun", "invalid TSS", "segment not present", "stack fault", "general protection"
    names "page fault", "reserved", "FPU error", "alignment check", "machine check", "SIMD error", "virtualization"
    names "control protection", "reserved", "reserved", "reserved", "reserved", "reserved", "reserved", "reserved"
    names "reserved", "security", "reserved"

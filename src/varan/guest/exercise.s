# Commands that exercise the machine. Called with RSI at the arguments; carry asks for the usage line.

    .set PAGE, 4096
    .set PATTERN, 0x9e3779b97f4a7c15    # the quadword at address A is A * PATTERN

# mem [MIB]: fill, then read back, compare and add up.
do_mem:
    push rbx
    push rbp
    push r12
    push r13
    mov eax, 1
    cmp byte ptr [rsi], 0
    je 1f
    call get_number
    jc 8f
1:  test rax, rax
    jz 7f
    mov rcx, [test_end]
    sub rcx, [test_start]
    mov rdx, rcx
    shr rdx, 20
    cmp rax, rdx
    ja 2f                               # more than there is: all of it
    shl rax, 20
    mov rcx, rax
2:  and rcx, -8
    mov rbx, [test_start]
    mov rbp, rcx                        # bytes
    movabs r13, PATTERN
    call pattern_fill
    call pattern_check
    push rdx
    push rax
    say "mem: "
    mov rax, rbp
    call put_decimal
    say " bytes from "
    mov rax, rbx
    call put_hex
    say ", checksum "
    pop rax
    call put_hex
    say ", "
    pop rax
    call put_decimal
    say " errors\n"
    clc
    jmp 9f
7:  stc
8:
9:  pop r13
    pop r12
    pop rbp
    pop rbx
    ret

# Fill RBP bytes at RBX with the pattern in R13.
pattern_fill:
    mov rdi, rbx
    lea rcx, [rbx + rbp]
    mov rax, rbx
    imul rax, r13
    lea r12, [r13 * 8]                  # the next quadword's pattern is this much more
1:  mov [rdi], rax
    add rax, r12
    add rdi, 8
    cmp rdi, rcx
    jb 1b
    ret

# Add up RBP bytes at RBX as quadwords to RAX; count those that are not the pattern in RDX.
pattern_check:
    push r14
    mov rdi, rbx
    lea rcx, [rbx + rbp]
    mov r14, rbx
    imul r14, r13
    lea r12, [r13 * 8]
    xor eax, eax
    xor edx, edx
1:  mov rsi, [rdi]
    add rax, rsi
    cmp rsi, r14
    je 2f
    inc rdx
2:  add r14, r12
    add rdi, 8
    cmp rdi, rcx
    jb 1b
    pop r14
    ret

do_fill:
    push rbx
    push rbp
    call get_number
    jc 9f
    mov rbx, rax
    call get_number
    jc 9f
    mov rbp, rax
    call get_number
    jc 9f
    cmp rax, 256
    cmc
    jc 9f
    push rax
    mov rdi, rbx
    mov rcx, rbp
    rep stosb
    say "filled "
    call put_range
    say " with "
    pop rax
    call put_hex
    say "\n"
    clc
9:  pop rbp
    pop rbx
    ret

do_sum:
    push rbx
    push rbp
    call get_number
    jc 9f
    mov rbx, rax
    call get_number
    jc 9f
    mov rbp, rax
    mov rdi, rbx
    xor eax, eax
    mov rcx, rbp
    jrcxz 2f
1:  movzx edx, byte ptr [rdi]
    add rax, rdx
    inc rdi
    dec rcx
    jnz 1b
2:  push rax
    say "sum of "
    call put_range
    say ": "
    pop rax
    call put_hex
    say "\n"
    clc
9:  pop rbp
    pop rbx
    ret

# "RBP bytes at RBX"
put_range:
    mov rax, rbp
    call put_decimal
    say " bytes at "
    mov rax, rbx
    jmp put_hex

do_poke:
    push rbx
    call get_number
    jc 9f
    mov rbx, rax
    call get_number
    jc 9f
    mov [rbx], rax
    call put_quadword
9:  pop rbx
    ret

do_peek:
    push rbx
    call get_number
    jc 9f
    mov rbx, rax
    call put_quadword
9:  pop rbx
    ret

# Print the quadword at RBX with its address; carry clear.
put_quadword:
    mov rax, rbx
    call put_hex
    say ": "
    mov rax, [rbx]
    call put_hex
    jmp newline

# dirty N: from now on the main loop calls dirty_tick at every tick.
do_dirty:
    cmp byte ptr [rsi], 0
    je dirty_report
    call get_number
    jc 9f
    mov rcx, [test_start]
    mov [dirty_next], rcx
    mov qword ptr [dirty_total], 0
    mov qword ptr [dirty_credit], 0
    mov [dirty_rate], rax
    say "dirtying "
    mov rax, [dirty_rate]
    call put_decimal
    say " pages per second from "
    mov rax, [test_start]
    call put_hex
    jmp newline
9:  ret

do_stop:
    mov qword ptr [dirty_rate], 0

dirty_report:
    say "dirtied "
    mov rax, [dirty_total]
    call put_decimal
    say " pages"
    jmp newline

# Timer ticks have passed: write to the pages that are due since.
dirty_tick:
    mov rax, [ticks]
    mov rcx, rax
    sub rcx, [ticks_seen]
    mov [ticks_seen], rax
    imul rcx, [dirty_rate]
    test rcx, rcx
    jz 9f
    add rcx, [dirty_credit]
    mov rax, rcx
    xor edx, edx
    mov ecx, TICKS_PER_SECOND
    div rcx
    mov [dirty_credit], rdx
    mov rcx, [test_end]                 # more than once round in a tick is not worth the time
    sub rcx, [test_start]
    shr rcx, 12
    cmp rax, rcx
    cmova rax, rcx
    test rax, rax
    jz 9f
1:  call dirty_page
    dec rax
    jnz 1b
9:  ret

# Write the number of pages so far to the next page. Keeps RAX.
dirty_page:
    mov rdi, [dirty_next]
    mov rcx, [dirty_total]
    inc rcx
    mov [dirty_total], rcx
    mov [rdi], rcx
    add rdi, PAGE
    lea rcx, [rdi + PAGE]
    cmp rcx, [test_end]
    cmova rdi, [test_start]
    mov [dirty_next], rdi
    ret

do_spin:
    say "spinning; any key ends it\n"
    xor ecx, ecx
spin_loop:
    inc rcx
    mov eax, [input_head]
    cmp eax, [input_tail]
    je spin_loop
    call input_take
    say "done\n"
    clc
    ret

do_idle:
    say "idle; any key ends it\n"
    mov al, IRQ_MASK_NO_TIMER
    out PIC1+1, al
1:  cli
    mov eax, [input_head]
    cmp eax, [input_tail]
    jne 2f
    sti
    hlt
    jmp 1b
2:  sti
    mov al, IRQ_MASK
    out PIC1+1, al
    call input_take
    say "done\n"
    clc
    ret

do_hang:
    say "hanging\n"
    cli
1:  jmp 1b

do_halt:
    say "halted\n"
    jmp halt_for_ever

do_reset:
    say "resetting\n"
    mov al, 0xfe                        # pulse output line 0, which is the CPU's reset
    out 0x64, al
    jmp halt_for_ever

do_triple:
    say "triple fault\n"
    lidt [no_idt_pointer]
    ud2

do_crash:
    ud2

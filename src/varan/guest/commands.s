# Commands that show something. Called with RSI at the arguments; carry asks for the usage line.

do_help:
    push rbx
    mov ebx, offset commands
1:  cmp qword ptr [rbx], 0
    je 2f
    say "  "
    mov rsi, [rbx + 16]
    call puts
    say "\n"
    add ebx, 24
    jmp 1b
2:  pop rbx
    clc
    ret

do_echo:
    call puts
    jmp newline

do_ticks:
    mov rax, [ticks]
    call put_decimal
    say " ticks"

newline:
    say "\n"
    clc
    ret

do_uptime:
    mov rax, [ticks]
    xor edx, edx
    mov ecx, TICKS_PER_SECOND
    div rcx
    push rdx
    call put_decimal
    say "."
    pop rax
    call put_two_digits
    say " s"
    jmp newline

do_irq:
    say "timer "
    mov rax, [ticks]
    call put_decimal
    say ", serial "
    mov rax, [serial_count]
    call put_decimal
    say ", nmi "
    mov rax, [nmi_count]
    call put_decimal
    jmp newline

do_nmi:
    mov rax, [nmi_count]
    call put_decimal
    say " NMI"
    jmp newline

# The real-time clock is read until two readings agree, so that an update in between cannot mix two times.
do_time:
    push rbx
    push rbp
    call rtc_snapshot
1:  mov rbp, rax
    call rtc_snapshot
    cmp rax, rbp
    jne 1b
    mov ebx, 7                          # bytes of RBP, highest first: century to second
2:  rol rbp, 8
    movzx eax, bpl
    cmp ebx, 0
    je 4f
    call put_rtc
    movzx eax, byte ptr [time_separators - 1 + rbx]
    test al, al
    jz 3f
    call putc
3:  dec ebx
    jmp 2b
4:  pop rbp
    pop rbx
    clc
    ret

# What follows second, minute, hour, day, month, year and century.
time_separators:
    .ascii "\n:: --\0"

# Century, year, month, day, hour, minute, second, 0 in the bytes of RAX, highest first, as the clock has them.
rtc_snapshot:
    xor ecx, ecx
    mov esi, offset rtc_registers
1:  movzx eax, byte ptr [rsi]
    call rtc_read
    shl rcx, 8
    or rcx, rax
    inc esi
    cmp esi, offset rtc_registers + 7
    jb 1b
    shl rcx, 8
    mov rax, rcx
    ret

rtc_registers:
    .byte 0x32, 9, 8, 7, 4, 2, 0

# Print a value of the clock in two digits: BCD, or binary when register B says so.
put_rtc:
    push rax
    mov al, 0x0b
    call rtc_read
    test al, 4
    pop rax
    jnz put_two_digits
    push rax
    shr eax, 4
    call put_decimal
    pop rax
    and eax, 15
    jmp put_decimal

do_cpu:
    push rbx
    say "vendor "
    call put_vendor
    mov eax, 1
    cpuid
    mov ebx, eax
    say ", signature "
    mov eax, ebx
    call put_hex
    call put_brand
    pop rbx
    jmp newline

# The vendor string of CPUID leaf 0.
put_vendor:
    push rbx
    xor eax, eax
    cpuid
    push rcx
    push rdx
    mov eax, ebx
    call put_four
    pop rax
    call put_four
    pop rax
    call put_four
    pop rbx
    ret

# A comma and the brand string of CPUID leaves 0x80000002-4, where the CPU has one.
put_brand:
    push rbx
    push rbp
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000004
    jb 2f
    mov ebp, 0x80000002
    mov eax, ebp
    cpuid
    test eax, eax
    jz 2f
    say ", "
1:  mov eax, ebp
    cpuid
    push rdx
    push rcx
    push rbx
    call put_four
    pop rax
    call put_four
    pop rax
    call put_four
    pop rax
    call put_four
    inc ebp
    cmp ebp, 0x80000004
    jbe 1b
2:  pop rbp
    pop rbx
    ret

# Print the four characters in EAX, lowest first, leaving out zeros.
put_four:
    mov ecx, 4
1:  test al, al
    jz 2f
    call putc
2:  shr eax, 8
    dec ecx
    jnz 1b
    ret

# The command line: editing, history-free, and finding the command.

    .set LINE_SIZE, 120
    .set BACKSPACE, 8
    .set DELETE, 127
    .set CTRL_C, 3
    .set CTRL_U, 21

prompt:
    mov qword ptr [line_length], 0
    say "varan> "
    ret

# Take the key AL. A newline right after a carriage return belongs to it.
line_key:
    mov rcx, [last_key]
    mov [last_key], rax
    cmp al, '\r'
    je line_enter
    cmp al, '\n'
    jne 1f
    cmp cl, '\r'
    jne line_enter
    ret
1:  cmp al, BACKSPACE
    je line_rub_out
    cmp al, DELETE
    je line_rub_out
    cmp al, CTRL_U
    je line_clear
    cmp al, CTRL_C
    je line_abandon
    cmp al, ' '
    jb 2f
    mov rcx, [line_length]
    cmp rcx, LINE_SIZE
    jae 2f
    mov [line + rcx], al
    inc qword ptr [line_length]
    jmp putc
2:  ret

line_clear:
    cmp qword ptr [line_length], 0
    je 1f
    call line_rub_out
    jmp line_clear
1:  ret

line_rub_out:
    cmp qword ptr [line_length], 0
    je 1f
    dec qword ptr [line_length]
    say "\b \b"
1:  ret

line_abandon:
    say "^C\n"
    jmp prompt

line_enter:
    mov al, '\n'
    call putc
    mov rcx, [line_length]
    mov byte ptr [line + rcx], 0
    mov esi, offset line
    call skip_blanks
    cmp byte ptr [rsi], 0
    je 1f
    call run_command
1:  jmp prompt

# Run the command at RSI. Commands are called with RSI at their first argument; carry means they did not like it.
run_command:
    push rbx
    mov ebx, offset commands
1:  mov rdi, [rbx]
    test rdi, rdi
    jz 3f
    call match_word
    jc 2f
    call [rbx + 8]
    jnc 4f
    say "usage: "
    mov rsi, [rbx + 16]
    call puts
    say "\n"
    jmp 4f
2:  add ebx, 24
    jmp 1b
3:  push rsi
    say "unknown command: "
    pop rsi
    call puts
    say "; try help\n"
4:  pop rbx
    ret

# Does the word at RSI equal the name at RDI? Yes: carry clear, RSI moves to the next word. No: carry set, RSI stays.
match_word:
    push rsi
1:  mov al, [rsi]
    mov cl, [rdi]
    inc rsi
    inc rdi
    test cl, cl
    jz 2f
    cmp al, cl
    je 1b
    jmp 4f
2:  dec rsi                             # the name has ended: the word must, too
    test al, al
    jz 3f
    cmp al, ' '
    jne 4f
    call skip_blanks
3:  add rsp, 8
    clc
    ret
4:  pop rsi
    stc
    ret

# name, routine, usage
.macro command name, routine, usage
    .pushsection .text, 1
.Lcommand\@: .asciz "\name"
.Lusage\@:   .asciz "\usage"
    .popsection
    .quad .Lcommand\@, \routine, .Lusage\@
.endm

    .balign 8
commands:
    command "help", do_help, "help - list the commands"
    command "ticks", do_ticks, "ticks - timer interrupts so far"
    command "uptime", do_uptime, "uptime - seconds since the start, by the timer"
    command "time", do_time, "time - read the real-time clock"
    command "cpu", do_cpu, "cpu - what CPUID says"
    command "irq", do_irq, "irq - count of interrupts by source"
    command "nmi", do_nmi, "nmi - count of non-maskable interrupts"
    command "echo", do_echo, "echo TEXT - print TEXT"
    command "mem", do_mem, "mem [MIB] - fill MIB MiB (1) with a pattern and check it"
    command "fill", do_fill, "fill ADDR LEN BYTE - fill memory with a byte"
    command "sum", do_sum, "sum ADDR LEN - add up bytes"
    command "peek", do_peek, "peek ADDR - show 8 bytes as a number"
    command "poke", do_poke, "poke ADDR VALUE - store 8 bytes"
    command "dirty", do_dirty, "dirty [N] - write to N pages per second until stop, or report"
    command "stop", do_stop, "stop - end dirty"
    command "spin", do_spin, "spin - keep the vCPU busy until a key"
    command "idle", do_idle, "idle - sleep without timer interrupts until a key"
    command "hang", do_hang, "hang - loop for ever with interrupts off"
    command "halt", do_halt, "halt - halt for ever with interrupts off"
    command "reset", do_reset, "reset - reset by the keyboard controller"
    command "triple", do_triple, "triple - triple fault"
    command "crash", do_crash, "crash - execute an invalid instruction"
    .quad 0

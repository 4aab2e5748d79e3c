# Varan's demonstration guest: the program that a machine runs when it is to show that it works.
#
# A 64-bit program without an operating system. It takes interrupts from the timer and the serial port, and a command
# line on the serial port shows and exercises the machine. docs/guest.md is its manual.
#
# Entry: long mode, interrupts off, the first 4 GiB mapped onto themselves, flat segments 0x10 (code) and 0x18 (data),
# RDI = bytes of memory in all, RSI = end of the memory that starts at 1 MiB.
#
# Only plain integer instructions: KVM without hardware virtualization interprets guests and knows little else.
# Routines keep every register but RAX, RCX, RDX, RSI and RDI; those that say so keep more.

    .intel_syntax noprefix
    .code64

    .set LOAD_ADDRESS, 0x10000
    .set TEST_START, 0x200000           # memory that commands may overwrite: from here to the end of memory,
    .set SMALL_TEST_START, 0x30000      # or, in a machine too small for that, this part of low memory
    .set SMALL_TEST_END, 0x80000
    .set STACK_SIZE, 4096

    .include "defs.s"

    .text

# The image's header: what the loader and tests want to know (varan.guest.image reads it).
header:
    .ascii "VARANDEM"
    .quad start
    .quad end_of_memory
    .quad ticks
    .quad nmi_count
    .quad dirty_total
    .quad idle_wait
    .quad spin_loop
    .quad line

    .include "text.s"
    .include "hardware.s"
    .include "traps.s"
    .include "line.s"
    .include "commands.s"
    .include "exercise.s"

start:
    mov rbx, rdi
    mov rbp, rsi
    mov edi, offset bss_start           # memory keeps its contents over a reset
    mov ecx, offset end_of_memory
    sub ecx, edi
    xor eax, eax
    cld
    rep stosb
    mov esp, offset stack_top

    mov [memory_size], rbx
    call choose_test_range
    call idt_init
    call uart_init
    call pic_init
    call pit_init
    call banner
    call prompt
    # fall into the main loop

# Sleep until an interrupt brings work. Work is looked for with interrupts off: STI takes effect only after HLT
# has begun, so that an interrupt in between cannot be slept through.
main_loop:
    cli
    mov eax, [input_head]
    cmp eax, [input_tail]
    jne 1f
    mov rax, [ticks]
    cmp rax, [ticks_seen]
    jne 2f
    sti
idle_wait:
    hlt
    jmp main_loop
1:  sti
    call input_take
    call line_key
    jmp main_loop
2:  sti
    call dirty_tick
    jmp main_loop

# RBP = end of memory: note which part is free for the commands that overwrite memory.
choose_test_range:
    mov eax, TEST_START
    cmp rbp, TEST_START + 0x100000
    jae 1f
    mov eax, SMALL_TEST_START
    mov ebp, SMALL_TEST_END
1:  mov [test_start], rax
    mov [test_end], rbp
    ret

banner:
    say "\nVaran demonstration guest\n"
    mov rax, [memory_size]
    shr rax, 20
    call put_decimal
    say " MiB of memory, vCPU "
    call put_vendor
    say ", timer 100 Hz\nType help for the commands.\n"
    ret

    .bss
    .balign 16
bss_start:
idt:            .skip 256 * 16
ticks:          .skip 8
ticks_seen:     .skip 8
serial_count:   .skip 8
nmi_count:      .skip 8
memory_size:    .skip 8
test_start:     .skip 8
test_end:       .skip 8
dirty_rate:     .skip 8                 # pages per second, 0 when off
dirty_credit:   .skip 8                 # hundredths of pages that are due
dirty_next:     .skip 8                 # address of the page to be written next
dirty_total:    .skip 8                 # pages written since `dirty`
panicking:      .skip 8
input_held:     .skip 8                 # whether the ring was full, and the serial port's interrupt is off
input_head:     .skip 4                 # where the interrupt handler puts the next byte
input_tail:     .skip 4                 # where the main loop takes the next byte
input_ring:     .skip INPUT_SIZE
line_length:    .skip 8
last_key:       .skip 8
line:           .skip LINE_SIZE + 8
    .balign 16
    .skip STACK_SIZE
stack_top:
end_of_memory:

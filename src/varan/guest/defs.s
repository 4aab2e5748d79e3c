# Constants and macros that several parts use. The assembler must have seen a constant before its first use.

    .set PIC1, 0x20
    .set PIC2, 0xa0
    .set PIC_EOI, 0x20
    .set IRQ_VECTOR, 0x20               # IRQ 0-15 arrive at vectors 0x20-0x2f
    .set IRQ_MASK, 0xee                 # all but IRQ0 (timer) and IRQ4 (serial)
    .set IRQ_MASK_NO_TIMER, 0xef

    .set PIT, 0x40
    .set PIT_DIVISOR, 11932             # 1193182 Hz / 100
    .set TICKS_PER_SECOND, 100

    .set UART, 0x3f8
    .set DEBUG_CONSOLE, 0x402
    .set INPUT_SIZE, 4096               # a power of two

# Write a byte to an I/O port.
.macro outb port, value
    mov edx, \port
    mov al, \value
    out dx, al
.endm

# Print a string constant.
.macro say text
    .pushsection .text, 1
.Lsay\@: .asciz "\text"
    .popsection
    mov esi, offset .Lsay\@
    call puts
.endm

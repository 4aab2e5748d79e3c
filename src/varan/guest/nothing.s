# What runs when a machine has nothing to boot. Real mode, at 0000:7c00, interrupts off; no memory but its own is used.

    .intel_syntax noprefix
    .code16

    .set UART, 0x3f8
    .set DEBUG_CONSOLE, 0x402

    .text
start:
    cli
    cld
    xor ax, ax
    mov ds, ax
    mov si, offset divisor
    mov cx, 5
1:  lodsw                               # port offset, value
    mov dl, al
    mov dh, UART >> 8
    add dl, UART & 0xff
    mov al, ah
    out dx, al
    dec cx
    jnz 1b
    mov si, offset message
2:  lodsb
    test al, al
    jz 5f
    mov ah, al
    mov cx, 0xffff                      # a serial port that takes nothing must not hold up the debug console
3:  mov dx, UART + 5
    in al, dx
    test al, 0x20
    jnz 4f
    dec cx
    jnz 3b
4:  mov al, ah
    mov dx, UART
    out dx, al
    mov dx, DEBUG_CONSOLE
    out dx, al
    jmp 2b
5:  cli
    hlt
    jmp 5b

# 115200 baud, 8N1, FIFO on: offset of the UART's register, value.
divisor:
    .byte 3, 0x80, 0, 1, 1, 0, 3, 3, 2, 7
message:
    .asciz "Nothing to boot: give a Linux kernel with -kernel FILE (and -initrd FILE, -append TEXT) or firmware with -bios FILE.\r\n"

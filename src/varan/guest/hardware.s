# The PC's hardware: interrupt controllers, timer, serial port, and the handlers of their interrupts.

pic_init:
    outb PIC1, 0x11                     # ICW1: edge-triggered, cascaded, ICW4 follows
    outb PIC2, 0x11
    outb PIC1+1, IRQ_VECTOR             # ICW2
    outb PIC2+1, IRQ_VECTOR+8
    outb PIC1+1, 0x04                   # ICW3: the second controller hangs on IRQ2
    outb PIC2+1, 0x02
    outb PIC1+1, 0x01                   # ICW4: 8086 mode
    outb PIC2+1, 0x01
    outb PIC1+1, IRQ_MASK
    outb PIC2+1, 0xff
    ret

pit_init:
    outb PIT+3, 0x34                    # counter 0, low byte then high byte, mode 2 (rate generator)
    outb PIT, (PIT_DIVISOR & 0xff)
    outb PIT, (PIT_DIVISOR >> 8)
    ret

# 115200 baud, 8N1, FIFO on, an interrupt for every byte that arrives.
uart_init:
    outb UART+1, 0x00                   # IER: none yet
    outb UART+3, 0x80                   # LCR: divisor latch
    outb UART, 0x01
    outb UART+1, 0x00
    outb UART+3, 0x03                   # LCR: eight bits, no parity, one stop bit
    outb UART+2, 0x07                   # FCR: on, both emptied, trigger at one byte
    outb UART+4, 0x0b                   # MCR: DTR, RTS, OUT2 (lets the interrupt through)
    outb UART+1, 0x01                   # IER: received data
    ret

timer_interrupt:
    push rax
    inc qword ptr [ticks]
    mov al, PIC_EOI
    out PIC1, al
    pop rax
    iretq

serial_interrupt:
    push rax
    push rcx
    push rdx
    inc qword ptr [serial_count]
1:  mov edx, UART+5                     # LSR
    in al, dx
    test al, 1                          # data ready
    jz 2f
    mov ecx, [input_head]
    lea eax, [rcx + 1]
    and eax, INPUT_SIZE - 1
    cmp eax, [input_tail]
    je 3f
    mov [input_head], eax
    mov edx, UART
    in al, dx
    mov [input_ring + rcx], al
    jmp 1b
3:  outb UART+1, 0x00                   # IER: none; what comes waits in the UART until there is room
    mov byte ptr [input_held], 1
2:  mov al, PIC_EOI
    out PIC1, al
    pop rdx
    pop rcx
    pop rax
    iretq

# An interrupt that nobody asked for (the controllers' spurious IRQ7 and IRQ15 need no end of interrupt).
stray_interrupt:
    iretq

# The oldest byte of input to AL. There must be one.
input_take:
    mov ecx, [input_tail]
    movzx eax, byte ptr [input_ring + rcx]
    inc ecx
    and ecx, INPUT_SIZE - 1
    mov [input_tail], ecx
    cmp byte ptr [input_held], 0
    je 1f
    push rax
    push rdx
    mov byte ptr [input_held], 0
    outb UART+1, 0x01                   # IER: received data
    pop rdx
    pop rax
1:  ret

# Register AL of the real-time clock to EAX.
rtc_read:
    out 0x70, al
    in al, 0x71
    movzx eax, al
    ret

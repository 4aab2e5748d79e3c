# Text: characters, strings and numbers out, numbers in.

# Print AL; a newline gets its carriage return. Keeps all registers.
putc:
    push rax
    cmp al, '\n'
    jne 1f
    mov al, '\r'
    call putc_raw
    mov al, '\n'
1:  call putc_raw
    pop rax
    ret

# Send AL as soon as the serial port takes it; in a panic to the debug console as well. Keeps all registers.
putc_raw:
    push rdx
    push rax
1:  mov edx, UART+5                     # LSR
    in al, dx
    test al, 0x20                       # transmitter holding register empty
    jz 1b
    mov rax, [rsp]
    mov edx, UART
    out dx, al
    cmp qword ptr [panicking], 0
    je 2f
    mov edx, DEBUG_CONSOLE
    out dx, al
2:  pop rax
    pop rdx
    ret

# Print the zero-terminated string at RSI.
puts:
    mov al, [rsi]
    test al, al
    jz 1f
    call putc
    inc rsi
    jmp puts
1:  ret

# Print RAX in decimal.
put_decimal:
    mov ecx, 10
    xor esi, esi                        # digits on the stack
1:  xor edx, edx
    div rcx
    add edx, '0'
    push rdx
    inc esi
    test rax, rax
    jnz 1b
2:  pop rax
    call putc
    dec esi
    jnz 2b
    ret

# Print RAX (below 100) with two decimal digits.
put_two_digits:
    cmp eax, 10
    jae put_decimal
    push rax
    mov al, '0'
    call putc
    pop rax
    jmp put_decimal

# Print RAX in hexadecimal, 0x in front, no leading zeros.
put_hex:
    mov rdx, rax
    mov al, '0'
    call putc
    mov al, 'x'
    call putc
    mov ecx, 64
1:  sub ecx, 4                          # the first digit to print
    jz put_hex_digits
    mov rax, rdx
    shr rax, cl
    jz 1b
    jmp put_hex_digits

# Print RAX in sixteen hexadecimal digits.
put_hex16:
    mov rdx, rax
    mov ecx, 60

# Print the digits of RDX from bit CL down.
put_hex_digits:
    mov rax, rdx
    shr rax, cl
    and eax, 15
    mov al, [digits + rax]
    call putc
    sub ecx, 4
    jns put_hex_digits
    ret

digits:
    .ascii "0123456789abcdef"

# Skip blanks at RSI. Keeps all other registers.
skip_blanks:
    cmp byte ptr [rsi], ' '
    jne 1f
    inc rsi
    jmp skip_blanks
1:  ret

# Read a number at RSI (decimal, or hexadecimal after 0x) to RAX; RSI moves to the next word. Carry: there is none.
get_number:
    call skip_blanks
    mov ecx, 10                         # base
    cmp word ptr [rsi], 'x' << 8 | '0'
    jne 1f
    mov ecx, 16
    add rsi, 2
1:  xor eax, eax
    xor edi, edi                        # digits seen
2:  movzx edx, byte ptr [rsi]
    test dl, dl
    jz 4f
    cmp dl, ' '
    je 4f
    call digit_value
    cmp edx, ecx
    jae 5f
    imul rax, rcx
    add rax, rdx
    inc edi
    inc rsi
    jmp 2b
4:  test edi, edi
    jz 5f
    call skip_blanks
    clc
    ret
5:  stc
    ret

# The digit character EDX to its value; anything else to a value that no base has. Keeps all other registers.
digit_value:
    sub edx, '0'
    cmp edx, 10
    jb 1f
    or edx, 0x20                        # letters in either case
    sub edx, 'a' - '0'
    jb 2f
    add edx, 10
1:  ret
2:  mov edx, -1
    ret

# A guest that writes numbered records to its virtio disks for ever and says what it has flushed, or reads them all and
# says whether they are whole. tests/support/record_guest.py has the arithmetic in Python, and what the reports mean.
#
# Entry: Linux' 64-bit boot protocol. The kernel's command line is "w FIRST QUARTER PACE" (hexadecimal: the number of the
# first record, a quarter of a disk in sectors, turns of an empty loop after each record), or "v 0 QUARTER 0".
#
# Disks are driven by the legacy interface (VIRTIO 1.2, 4.1.4.10 and 2.7.2), with queues of 64, polled. Each has a block of
# memory: its port at +0, the queue at +0x1000 (available ring +0x1400, used ring +0x2000), headers at +0x4000, statuses at
# +0x4100, data from +0x5000 on.
#
# R12 = number of disks, R13 = pace, R14 = quarter, R15 = record, RBX = the disk's memory, EBP = its number.

    .set DISKS, 0x200000
    .set DISK_ROOM, 0x40000
    .set QUEUE_MASK, 63
    .set WRITE_ZEROES, 13
    .set FLUSH, 4

    .code64
start:
    cld
    mov esi, [rsi + 0x228]              # the boot protocol's pointer to the command line
    movzx eax, byte ptr [rsi]
    push rax
    inc rsi
    call number
    mov r15, rax
    call number
    mov r14, rax
    call number
    mov r13, rax
    movabs r8, 0x9e3779b97f4a7c15
    movabs r9, 0xd6e8feb86659fd93
    mov [STEP], r8
    mov [MIX], r9
    .set STEP, 0x1f0000
    .set MIX, 0x1f0008

    mov ebx, offset DISKS
    xor r12d, r12d
    mov edi, 0x80000000                 # the first slot of PCI's bus 0
1:  mov eax, edi
    call pci_read
    cmp eax, 0x10011af4
    jne 2f
    lea eax, [rdi + 4]
    call pci_read
    or eax, 5                           # ports, and memory for the device
    out dx, eax
    lea eax, [rdi + 0x10]
    call pci_read
    and eax, ~3
    mov [rbx], eax
    call begin_disk
    add ebx, offset DISK_ROOM
    inc r12d
2:  add edi, 0x800
    cmp edi, 0x80010000
    jb 1b

    pop rax
    cmp al, 'v'
    je verify

# Write record after record.
record:
    mov ebx, offset DISKS
    xor ebp, ebp
disk:
    xor ecx, ecx
piece:
    call hash
    push rax
    mov r8d, eax
    and r8d, 15
    inc r8d                             # sectors
    shr rax, 16
    mov eax, eax
    xor edx, edx
    lea r10, [r14 - 16]
    div r10
    mov rax, r14
    imul rax, rcx
    add rdx, rax                        # first sector
    mov edi, ecx
    shl edi, 13
    lea rdi, [rbx + rdi + 0x5000]
    pop rax
    test al, 0x70
    jz zeroes
    call fill
    shl r8d, 9
    mov eax, 1
    jmp ask
zeroes:
    mov [rdi], rdx
    mov [rdi + 8], r8d
    shr eax, 7
    and eax, 1                          # whether to unmap
    mov [rdi + 12], eax
    xor edx, edx
    mov r8d, 16
    mov eax, offset WRITE_ZEROES
ask:
    xor r9d, r9d
    call request
    inc ecx
    cmp ecx, 4
    jb piece
    call perform
    cmp dword ptr [rbx + 0x4100], 0
    jne failed
    call hash                           # of a fifth piece: whether to flush
    test al, 3
    jnz next_disk
    xor ecx, ecx
    xor edx, edx
    xor r8d, r8d
    xor r9d, r9d
    mov eax, offset FLUSH
    call request
    call perform
    cmp byte ptr [rbx + 0x4100], 0
    jne failed
    mov al, 'F'
    mov rdi, r15
    call report
next_disk:
    add ebx, offset DISK_ROOM
    inc ebp
    cmp ebp, r12d
    jb disk
    inc r15
    mov rcx, r13
    or rcx, rcx
    jz record
1:  dec rcx
    jnz 1b
    jmp record
failed:
    mov al, 'E'
    mov rdi, r15
    call report
    jmp disk                            # again, until it goes well

# Read everything, report sums and faults.
verify:
    mov ebx, offset DISKS
    xor ebp, ebp
verify_disk:
    xor r10d, r10d                      # sector
    xor r15d, r15d                      # sectors that are not whole
    xor r13d, r13d                      # sum of all words, each times an odd number
    mov r11d, 1
1:  push r10
    push r11
    xor ecx, ecx
    xor eax, eax
    mov rdx, r10
    lea rdi, [rbx + 0x5000]
    mov r8d, 0x8000
    mov r9d, 2
    call request
    call perform
    pop r11
    pop r10
    mov esi, 0x8000000                  # as many as nobody has: a read failed
    cmp byte ptr [rbx + 0x4100], 0
    lea rdi, [rbx + 0x5000]
    jne 3f
2:  call check_sector
    inc r10
    test r10b, 63
    jnz 2b
    lea rax, [r14 * 4]
    cmp r10, rax
    jb 1b
    xor esi, esi
3:  add r15, rsi
    mov al, 'B'
    mov rdi, r15
    call report
    mov al, 'V'
    mov rdi, r13
    call report
    add ebx, offset DISK_ROOM
    inc ebp
    cmp ebp, r12d
    jb verify_disk
    mov al, 'D'
    xor edi, edi
    call report
4:  cli
    hlt
    jmp 4b

# RDI: a sector's data, moves behind it; R10: its number; R11: the next odd number. Adds to R13 and R15.
check_sector:
    mov rax, [rdi]
    mov rdx, [rdi + 8]
    xor r8d, r8d                        # nothing but zeros
    xor r9d, r9d
    or rax, rax
    jz 1f
    cmp al, bpl
    jne 2f
    cmp rdx, r10
    jne 2f
    mov r9, [STEP]
    mov r8, rax
    imul r8, r9
    add r8, rdx
    imul r8, [MIX]
    lea r8, [r8 + r9 * 2]
    jmp 3f
1:  or rdx, rdx
    jz 3f
2:  mov r8, rdx                         # words that are wrong: a pattern that nobody makes
    mov r9d, 1
3:  xor esi, esi
    xor ecx, ecx
4:  mov rax, [rdi + rcx * 8]
    cmp ecx, 2
    jb 6f
    cmp rax, r8
    je 5f
    mov esi, 1
5:  add r8, r9
6:  imul rax, r11
    add r13, rax
    add r11, 2
    inc ecx
    cmp ecx, 64
    jb 4b
    add r15, rsi
    add rdi, 512
    ret

# The sectors of a piece, R8D from RDX on, at RDI. Keeps ECX, RDX, RDI, R8.
fill:
    push rcx
    push rdx
    push rdi
    push r8
1:  mov rax, r15
    shl rax, 8
    or rax, rbp
    mov [rdi], rax
    mov [rdi + 8], rdx
    mov r9, [STEP]
    imul rax, r9
    add rax, rdx
    imul rax, [MIX]
    lea rax, [rax + r9 * 2]
    mov ecx, 2
2:  mov [rdi + rcx * 8], rax
    add rax, r9
    inc ecx
    cmp ecx, 64
    jb 2b
    add rdi, 512
    inc rdx
    dec r8d
    jnz 1b
    pop r8
    pop rdi
    pop rdx
    pop rcx
    ret

# RAX = a number that record, disk and piece (ECX) decide. Keeps ECX.
hash:
    lea rax, [rcx + r15 * 8]
    shl rax, 3
    lea rax, [rax + rbp + 1]
    imul rax, [STEP]
    mov rdx, rax
    shr rdx, 32
    xor rax, rdx
    imul rax, [MIX]
    mov rdx, rax
    shr rdx, 32
    xor rax, rdx
    ret

# Make a request available. ECX: which of the four; EAX: type; RDX: sector; RDI, R8D: data (0: none); R9D: 2 where the
# device writes them. Keeps ECX.
request:
    imul r10d, ecx, 48
    lea r10, [rbx + r10 + 0x1000]
    mov r11d, ecx
    shl r11d, 4
    lea r11, [rbx + r11 + 0x4000]
    mov [r11], rax
    mov [r11 + 8], rdx
    mov [r10], r11
    mov dword ptr [r10 + 8], 16
    lea eax, [rcx + rcx * 2 + 2]        # the last descriptor
    shl eax, 16
    mov edx, eax
    or edx, r9d
    or edx, 1
    mov [r10 + 28], edx
    or eax, 1
    or r8d, r8d
    jz 1f
    sub eax, 0x10000
1:  mov [r10 + 12], eax
    mov [r10 + 16], rdi
    mov [r10 + 24], r8d
    lea rax, [rbx + rcx + 0x4100]
    mov byte ptr [rax], 0xff
    mov [r10 + 32], rax
    mov dword ptr [r10 + 40], 1
    mov dword ptr [r10 + 44], 2
    movzx edx, word ptr [rbx + 0x1402]
    mov eax, edx
    and eax, offset QUEUE_MASK
    lea edi, [rcx + rcx * 2]
    mov [rbx + rax * 2 + 0x1404], di
    inc edx
    mov [rbx + 0x1402], dx
    ret

# Tell the device, and wait until it has done everything.
perform:
    mov edx, [rbx]
    add edx, 0x10
    xor eax, eax
    out dx, ax
1:  pause
    mov ax, [rbx + 0x2002]
    cmp ax, [rbx + 0x1402]
    jne 1b
    ret

begin_disk:
    mov edx, [rbx]
    add edx, 0x12
    xor eax, eax
    out dx, al                          # reset
    mov al, 3
    out dx, al                          # seen, and driven
    mov edx, [rbx]
    add edx, 4
    mov eax, 1 << 9 | 1 << 14           # flush, write zeroes
    out dx, eax
    mov edx, [rbx]
    add edx, 0xe
    xor eax, eax
    out dx, ax                          # queue 0
    lea eax, [rbx + 0x1000]
    shr eax, 12
    mov edx, [rbx]
    add edx, 8
    out dx, eax
    mov edx, [rbx]
    add edx, 0x12
    mov al, 7
    out dx, al
    ret

# EAX = what PCI's configuration space has at address EAX; DX can write it.
pci_read:
    mov edx, 0xcf8
    out dx, eax
    mov edx, 0xcfc
    in eax, dx
    ret

# A line on the debug console: a letter (AL), the disk, a number (RDI).
report:
    mov edx, 0xe9
    out dx, al
    lea eax, [rbp + '0']
    out dx, al
    mov al, ' '
    out dx, al
    mov ecx, 16
1:  rol rdi, 4
    mov eax, edi
    and eax, 15
    cmp al, 10
    jb 2f
    add al, 'a' - '0' - 10
2:  add al, '0'
    out dx, al
    dec ecx
    jnz 1b
    mov al, '\n'
    out dx, al
    ret

# RAX = the hexadecimal number at RSI, which moves behind it.
number:
    xor eax, eax
1:  movzx ecx, byte ptr [rsi]
    inc rsi
    cmp cl, ' '
    je 1b
    cmp cl, '0'
    jb 3f
2:  cmp cl, '9' + 1
    jb 4f
    sub cl, 'a' - '0' - 10
4:  sub cl, '0'
    shl rax, 4
    or rax, rcx
    movzx ecx, byte ptr [rsi]
    inc rsi
    cmp cl, '0'
    jae 2b
3:  dec rsi
    ret

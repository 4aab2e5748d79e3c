# An option ROM that starts the Linux kernel that the firmware configuration device holds: firmware lists it among what
# it can boot (Plug and Play BIOS 1.0A, "Bootstrap Entry Vector"). The kernel's setup code runs in real mode, as its boot
# protocol says (Documentation/arch/x86/boot.rst). The byte at `checksum` is filled in by whoever hands the ROM out.

    .intel_syntax noprefix
    .code16

    .set DMA, 0x518                     # lower half of the command's address
    .set SELECT, 1 << 3
    .set READ, 1 << 1
    .set SETUP_SEGMENT, 0x1000
    .set HEAP_END, 0x224                # in the setup header: end of the heap, less 0x200
    .set UNIT, 512

    .text
start:
    .byte 0x55, 0xaa, 1
    mov ax, 0x20                        # initialized: there is something to boot from
    retf
checksum:
    .byte 0
    .org 0x1a
    .word pnp
pnp:
    .ascii "$PnP"
    .byte 1, 2                          # revision, length in 16 bytes
    .word 0                             # no further header
    .byte 0, 0                          # reserved, checksum (not looked at)
    .long 0
    .word maker, product
    .byte 0, 0, 0, 0
    .word 0, 0, boot, 0, 0              # boot connection, disconnect, bootstrap entry; reserved, resources
maker:
    .asciz "Varan"
product:
    .asciz "Linux kernel"

boot:
    cli
    cld
    xor ax, ax
    mov ss, ax
    mov sp, 0x7c00
    mov si, offset items
1:  movzx ax, byte ptr cs:[si]
    call number
    mov edi, eax
    movzx ax, byte ptr cs:[si + 1]
    call number
    mov ebx, eax
    test ebx, ebx
    jz 2f
    movzx ax, byte ptr cs:[si + 2]
    call take
2:  add si, 3
    cmp si, offset items_end
    jne 1b
    mov ax, SETUP_SEGMENT
    mov ds, ax
    mov es, ax
    mov fs, ax
    mov gs, ax
    mov cx, ds:[HEAP_END]
    add cx, 0x200
    mov ss, ax
    mov sp, cx
    .byte 0xea                          # jump to the setup code behind its boot sector
    .word 0, SETUP_SEGMENT + 0x20

# eax: the 32 bits of item ax. The stack segment is 0, so that the stack pointer is an address.
number:
    push edi
    push dword ptr 0
    movzx edi, sp
    mov ebx, 4
    call take
    pop eax
    pop edi
    ret

# Have the ebx first bytes of item ax written to address edi.
take:
    mov ecx, edi
    bswap ecx
    push ecx
    push dword ptr 0
    mov ecx, ebx
    bswap ecx
    push ecx
    movzx ecx, ax
    shl ecx, 16
    or ecx, SELECT | READ
    bswap ecx
    push ecx
    movzx eax, sp
    bswap eax
    mov dx, DMA
    out dx, eax
    mov bp, sp
    cmp dword ptr [bp], 0
    jne failed
    add sp, 16
    ret

failed:
    hlt
    jmp failed

# Keys of address, size and content: setup code, command line, kernel, initial RAM disk.
items:
    .byte 0x16, 0x17, 0x18
    .byte 0x13, 0x14, 0x15
    .byte 0x07, 0x08, 0x11
    .byte 0x0a, 0x0b, 0x12
items_end:
    .org UNIT

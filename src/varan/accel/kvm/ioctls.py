"""The KVM interface in numbers: ioctl requests, exit reasons, and the layouts of the structures they carry.

Source: the Linux kernel's user API headers `linux/kvm.h` and `asm/kvm.h` (x86-64), and Documentation/virt/kvm/api.rst.
"""

from __future__ import annotations

import struct

GET_API_VERSION = 0xAE00
CREATE_VM = 0xAE01
GET_MSR_INDEX_LIST = 0xC004AE02
CHECK_EXTENSION = 0xAE03
GET_VCPU_MMAP_SIZE = 0xAE04
GET_SUPPORTED_CPUID = 0xC008AE05
CREATE_VCPU = 0xAE41
SET_USER_MEMORY_REGION = 0x4020AE46
SET_TSS_ADDR = 0xAE47
SET_IDENTITY_MAP_ADDR = 0x4008AE48
RUN = 0xAE80
GET_REGS = 0x8090AE81
SET_REGS = 0x4090AE82
GET_SREGS = 0x8138AE83
SET_SREGS = 0x4138AE84
INTERRUPT = 0x4004AE86
GET_MSRS = 0xC008AE88
SET_MSRS = 0x4008AE89
SET_CPUID2 = 0x4008AE90
NMI = 0xAE9A
GET_VCPU_EVENTS = 0x8040AE9F
SET_VCPU_EVENTS = 0x4040AEA0
GET_DEBUGREGS = 0x8080AEA1
SET_DEBUGREGS = 0x4080AEA2
GET_XSAVE = 0x9000AEA4
SET_XSAVE = 0x5000AEA5
GET_XCRS = 0x8188AEA6
SET_XCRS = 0x4188AEA7

API_VERSION = 12
CAP_SYNC_MMU = 16
CAP_USER_NMI = 22
CAP_READONLY_MEM = 81
CAP_IMMEDIATE_EXIT = 136
NEEDED_CAPABILITIES = {
    "KVM_CAP_USER_NMI": CAP_USER_NMI,
    "KVM_CAP_READONLY_MEM": CAP_READONLY_MEM,
    "KVM_CAP_IMMEDIATE_EXIT": CAP_IMMEDIATE_EXIT,
}

MEM_READONLY = 2

EXIT_IO = 2
EXIT_HLT = 5
EXIT_MMIO = 6
EXIT_IRQ_WINDOW_OPEN = 7
EXIT_SHUTDOWN = 8
EXIT_FAIL_ENTRY = 9
EXIT_SET_TPR = 11
EXIT_INTERNAL_ERROR = 17

RUN_REQUEST_INTERRUPT_WINDOW = 0
RUN_IMMEDIATE_EXIT = 1
RUN_EXIT_REASON = 8
RUN_READY_FOR_INTERRUPT = 12
RUN_IF_FLAG = 13
RUN_CR8 = 16
RUN_APIC_BASE = 24
RUN_EXIT_DATA = 32
"""Byte offsets in the `kvm_run` page."""

MEMORY_REGION = struct.Struct("<IIQQQ")
"""slot, flags, guest physical address, bytes, host address"""
RUN_IO = struct.Struct("<BBHIQ")
"""direction (1 out), size, port, count, offset of the data in the page"""
RUN_MMIO = struct.Struct("<Q8sIB")
"""physical address, data, length, is write"""
REGS = struct.Struct("<18Q")
"""rax rbx rcx rdx rsi rdi rsp rbp r8-r15 rip rflags"""
SEGMENT = struct.Struct("<QIH10B")
"""base, limit, selector, type, present, dpl, db, s, l, g, avl, unusable, padding"""
TABLE = struct.Struct("<QH6x")
"""base, limit"""
SREGS_TAIL = struct.Struct("<7Q4Q")
"""cr0 cr2 cr3 cr4 cr8 efer apic_base, interrupt bitmap"""
SREGS_SIZE = 312
VCPU_EVENTS = struct.Struct("<4BI4B4BII5B26xBQ")
"""exception (injected nr has_error pending error), interrupt (injected nr soft shadow),
nmi (injected pending masked pad), sipi, flags, smi x4, triple fault, has payload, payload"""
DEBUGREGS = struct.Struct("<7Q72x")
"""DR0-DR3, DR6, DR7, flags"""
XCRS = struct.Struct("<II")
XCR = struct.Struct("<IIQ")
XCRS_SIZE = 392
XSAVE_SIZE = 4096
CPUID_ENTRY = struct.Struct("<7I12x")
"""leaf, subleaf, flags, eax, ebx, ecx, edx"""
MSR_ENTRY = struct.Struct("<IIQ")

EVENTS_VALID_NMI_PENDING = 1
EVENTS_VALID_SHADOW = 4

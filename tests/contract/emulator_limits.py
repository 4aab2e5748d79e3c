"""What KVM cannot do on a host whose CPU has no VT-x or SVM.

There guests run partly in KVM's instruction emulator (Linux, arch/x86/kvm/emulate.c) and partly, in user mode, as
processes of the host (kvm_pvm). With hardware virtualization all of these pass. Each test by its name, with what was
seen instead.
"""

from __future__ import annotations

_NO_X87 = "the emulator has no x87 instructions: exit 17 at FLD1"
_NO_IRET = "the emulator has no IRET in 32-bit protected mode: exit 17 at the IRET"
_BATCHES = "the emulator looks for interrupts every 1024 instructions only: HLT comes first and none is taken"
_NO_PAGING = "KVM_SET_SREGS takes CR0.PG outside long mode and drops it"
_USER_INT = "INT n in user mode is #UD"
_USER_SELECTORS = "user mode has the host's selectors 0x33 and 0x2b whatever STAR says"

EMULATOR_LIMITS = {
    "test_kicks_neither_lose_nor_repeat_an_instruction[kvm-count]": "60 million instructions at 2 MIPS take 30 s",
    "test_state_is_the_same_after_set_and_get[kvm]": _NO_X87,
    "test_floating_point_state_moves[kvm]": _NO_X87,
    "test_exception_names_its_instruction[kvm-breakpoint-3-0-1]": "the emulator has no INT3: exit 17",
    "test_exception_names_its_instruction[kvm-no_fpu-7-0-9]": _NO_X87,
    "test_exception_names_its_instruction[kvm-sysenter_off-13-0-0]": "SYSENTER without its MSRs is exit 17, not #GP",
    "test_software_interrupt_wants_a_gate_for_its_privilege[kvm]": _USER_INT,
    "test_missing_handler_is_a_fault_of_its_own[kvm]": "any fault while another is delivered becomes #DF",
    "test_page_fault_on_the_stack_of_a_page_fault_is_a_double_fault[kvm]": "CR2 keeps the first fault's address",
    "test_syscall_and_sysret[kvm]": _USER_SELECTORS,
    "test_many_syscalls_are_all_made_under_fire[kvm]": "SYSCALL stays in user mode: #GP at the SYSRET",
    "test_sysenter_and_sysexit[kvm]": "SYSENTER in user mode is #UD",
    "test_interrupt_wakes_a_halted_vcpu[kvm-protected]": _NO_IRET,
    "test_interrupt_does_not_wake_a_vcpu_that_masks_it[kvm-protected]": _NO_IRET,
    "test_sti_holds_interrupts_for_one_instruction[kvm-real]": _BATCHES,
    "test_sti_holds_interrupts_for_one_instruction[kvm-protected]": _BATCHES,
    "test_sti_holds_interrupts_for_one_instruction[kvm-long]": _BATCHES,
    "test_shadow_is_part_of_the_state[kvm-real-True-1]": _BATCHES,
    "test_shadow_is_part_of_the_state[kvm-protected-False-0]": _NO_IRET,
    "test_shadow_is_part_of_the_state[kvm-protected-True-1]": _BATCHES,
    "test_shadow_is_part_of_the_state[kvm-long-True-1]": _BATCHES,
    "test_interrupt_in_user_mode_switches_stacks[kvm-protected]": _NO_IRET,
    "test_interrupt_in_user_mode_switches_stacks[kvm-long]": _USER_INT,
    "test_interrupt_uses_the_stack_table[kvm]": "the emulator has no INT n in long mode: exit 17",
    "test_nmi_wakes_even_a_vcpu_that_masks_interrupts[kvm-protected]": _NO_IRET,
    "test_nmi_waits_for_the_end_of_another[kvm-protected]": _NO_IRET,
    "test_translate_in_32bit_paging[kvm]": _NO_PAGING,
    "test_translate_in_pae_paging[kvm]": _NO_PAGING,
    "test_guest_agrees_with_translate_in_pae_paging[kvm]": _NO_PAGING,
    "test_what_the_vcpu_tells_of_cpuid_is_what_its_guest_sees[kvm]": "the guest gets the host's own CPUID",
}

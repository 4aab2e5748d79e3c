"""A vCPU that KVM runs.

The interrupt controller lives in user space, so interrupts are injected here, between two KVM_RUNs, when the guest can
take one; where it cannot yet, KVM is asked to come back as soon as it can.

KVM keeps the second half of an instruction that accesses a device for the next KVM_RUN (KVM API, 5: "must be completed
with another KVM_RUN"), so registers are looked at only after `_settle`.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading

from varan.accel import paging
from varan.accel.base import HALTED, KICKED, ONE_CPU, SHUTDOWN, Exit, ExitReason, Topology, Vcpu
from varan.accel.cpuid import Choice, Registers
from varan.accel.kvm import features, ioctls, kick, state
from varan.accel.kvm.system import KvmSystem
from varan.accel.startup import Startup
from varan.accel.state import Activity, CpuState
from varan.core.irq import LOCAL_APIC, PRIORITIZED, InterruptController, LocalController
from varan.core.memory import PAGE_SIZE, MemorySpace
from varan.core.ports import PortSpace

_APIC_BASE_BSP = 1 << 8
_WIDTHS = {1: struct.Struct("<B"), 2: struct.Struct("<H"), 4: struct.Struct("<I")}
_QUAD = struct.Struct("<Q")


class KvmVcpu(Vcpu):
    """See `Vcpu`. Made on the thread that runs it."""

    def __init__(
        self,
        system: KvmSystem,
        vm: int,
        index: int,
        memory: MemorySpace,
        ports: PortSpace,
        lock: threading.RLock,
        choice: Choice,
        topology: Topology = ONE_CPU,
    ) -> None:
        self.index = index
        self.apic: LocalController | None = None
        self.signalled = Startup()
        """INIT and SIPI that the thread has not obeyed."""
        self.pin = _Pin(self)
        self._memory, self._ports, self._lock = memory, ports, lock
        self._thread = threading.get_ident()
        self._fd = fcntl.ioctl(vm, ioctls.CREATE_VCPU, index)
        self._page = mmap.mmap(self._fd, system.run_size)
        table = system.cpuid(topology, index)
        features.choose(table, choice, quiet=index > 0)
        self._cpuid = features.lookup(table)
        fcntl.ioctl(self._fd, ioctls.SET_CPUID2, table, True)
        self._reset_msrs = state.read_msrs(self._fd, system.msr_numbers())
        self._controller: InterruptController | None = None
        self._door = threading.Lock()
        """Keeps `close` from taking the page away under a kick."""
        self._open = True
        self._entered = False
        """Whether the thread is in KVM_RUN, or on its way there."""
        self._unfinished = False
        """Whether KVM keeps the second half of an instruction."""
        self._outcome: Exit | None = None
        """What came out while an instruction was finished, for the next `run` to return."""
        self._kicked = False
        self._interrupts_changed = True
        self._acknowledged: int | None = None
        """A vector on its way from the controller that KVM has not been given."""
        self._nmi = False
        """An NMI that KVM has not been given."""
        self._nmi_given = False
        """Whether KVM may hold one that the guest has not taken."""
        self._activity = Activity.RUNNING
        self.reset()

    def connect(self, controller: InterruptController, apic: LocalController | None = None) -> None:
        self._controller, self.apic = controller, apic
        self._interrupts_changed = True

    def kick(self) -> None:
        self._kicked = True
        self._interrupt_run()

    def _interrupt_run(self) -> None:
        """Get the thread out of KVM_RUN, now or at once when it enters."""
        with self._door:
            if self._open:
                # First the byte, then the look: a thread that is not on its way yet clears the byte before it looks
                # at what it is kicked for.
                self._page[ioctls.RUN_IMMEDIATE_EXIT] = 1
                if self._entered:
                    kick.send(self._thread)

    def interrupts_changed(self) -> None:
        """The controller may answer differently; the vCPU's own thread looks anyway before it enters the guest."""
        self._interrupts_changed = True
        self.look()

    def look(self) -> None:
        """There is something that the thread must see before guest code goes on."""
        if threading.get_ident() != self._thread:
            self._interrupt_run()
            self.wake()

    def run(self) -> Exit:
        page = self._page
        try:
            while True:
                self._entered = True
                page[ioctls.RUN_IMMEDIATE_EXIT] = 0
                if self._outcome is not None:
                    outcome, self._outcome = self._outcome, None
                    return outcome
                if self._kicked:
                    self._kicked = False
                    self._settle()
                    return KICKED
                if self.signalled.pending:
                    self._obey()
                if self._activity is not Activity.RUNNING:
                    if not self.has_work():
                        return HALTED
                    self._activity = Activity.RUNNING
                if self._nmi:
                    self._nmi, self._nmi_given = False, True
                    fcntl.ioctl(self._fd, ioctls.NMI, 0)
                if self._interrupts_changed:
                    self._inject(page)
                exit = self._enter(page)
                if exit is not None:
                    return exit
        finally:
            self._entered = False

    def _enter(self, page: mmap.mmap) -> Exit | None:
        """One KVM_RUN, and the answer to what it came back for."""
        try:
            fcntl.ioctl(self._fd, ioctls.RUN, 0)
        except (InterruptedError, BlockingIOError):
            self._unfinished = False
            return None
        except OSError as error:
            self._unfinished = False
            return Exit(ExitReason.INTERNAL_ERROR, f"KVM could not run the guest: {error.strerror}")
        self._entered = False
        if self.apic is not None:
            (base,) = _QUAD.unpack_from(page, ioctls.RUN_APIC_BASE)
            if base != self.apic.base:
                with self._lock:
                    self.apic.set_base(base)
        return self._handle_exit(page)

    def _settle(self) -> None:
        """Finish an instruction that is half done, so that the registers are those between two instructions."""
        while self._unfinished:
            self._page[ioctls.RUN_IMMEDIATE_EXIT] = 1
            exit = self._enter(self._page)
            if exit is not None:
                self._outcome = exit

    def _inject(self, page: mmap.mmap) -> None:
        self._interrupts_changed = False
        with self._lock:
            wanted = self._wanted()
            if wanted and page[ioctls.RUN_READY_FOR_INTERRUPT] and page[ioctls.RUN_IF_FLAG]:
                fcntl.ioctl(self._fd, ioctls.INTERRUPT, struct.pack("<I", self._acknowledge()))
                page[ioctls.RUN_READY_FOR_INTERRUPT] = 0
                wanted = self._wanted()
            # Not every way to lower CR8 ends in an exit, so what it holds back is looked at again at each.
            pending = self._pending() is not None
        page[ioctls.RUN_REQUEST_INTERRUPT_WINDOW] = wanted
        self._interrupts_changed |= pending

    def _pending(self) -> int | None:
        """What waits to be taken, as `InterruptController.peek` tells it."""
        if self._acknowledged is not None:
            return self._acknowledged
        return self._controller.peek() if self._controller is not None else None

    def _wanted(self) -> bool:
        answer = self._pending()
        if answer is None:
            return False
        return not answer & PRIORITIZED or answer >> 4 & 15 > self._page[ioctls.RUN_CR8]

    def _acknowledge(self) -> int:
        vector, self._acknowledged = self._acknowledged, None
        if vector is None:
            assert self._controller is not None
            vector = self._controller.acknowledge()
        return vector

    def _handle_exit(self, page: mmap.mmap) -> Exit | None:
        reason = page[ioctls.RUN_EXIT_REASON]
        self._unfinished = reason in (ioctls.EXIT_IO, ioctls.EXIT_MMIO)
        if reason == ioctls.EXIT_IO:
            self._port_access(page)
        elif reason == ioctls.EXIT_MMIO:
            self._memory_access(page)
        elif reason == ioctls.EXIT_SET_TPR:
            self._interrupts_changed = True
        elif reason == ioctls.EXIT_HLT:
            self._activity = Activity.HALTED
            return HALTED
        elif reason == ioctls.EXIT_SHUTDOWN:
            return SHUTDOWN
        elif reason == ioctls.EXIT_INTERNAL_ERROR:
            return Exit(ExitReason.INTERNAL_ERROR, self._describe_internal_error(page))
        elif reason == ioctls.EXIT_FAIL_ENTRY:
            (why,) = struct.unpack_from("<Q", page, ioctls.RUN_EXIT_DATA)
            return Exit(ExitReason.INTERNAL_ERROR, f"the hardware refused to enter the guest, reason {why:#x}")
        elif reason != ioctls.EXIT_IRQ_WINDOW_OPEN:
            return Exit(ExitReason.INTERNAL_ERROR, f"KVM exit {reason}, which Varan does not know")
        return None

    def _port_access(self, page: mmap.mmap) -> None:
        out, size, port, count, offset = ioctls.RUN_IO.unpack_from(page, ioctls.RUN_EXIT_DATA)
        width = _WIDTHS[size]
        with self._lock:
            if not out:
                page[offset : offset + count * size] = self._ports.read_string(port, size, count)
                return
            for at in range(offset, offset + count * size, size):
                self._ports.write(port, size, width.unpack_from(page, at)[0])

    def _memory_access(self, page: mmap.mmap) -> None:
        address, data, length, is_write = ioctls.RUN_MMIO.unpack_from(page, ioctls.RUN_EXIT_DATA)
        space: MemorySpace | LocalController = self._memory
        if self.apic is not None and LOCAL_APIC <= address < LOCAL_APIC + PAGE_SIZE:
            space, address = self.apic, address - LOCAL_APIC
        with self._lock:
            if is_write:
                space.write(address, length, int.from_bytes(data[:length], "little"))
            else:
                value = space.read(address, length)
                at = ioctls.RUN_EXIT_DATA + 8
                page[at : at + 8] = value.to_bytes(8, "little")

    def _describe_internal_error(self, page: mmap.mmap) -> str:
        suberror, count = struct.unpack_from("<II", page, ioctls.RUN_EXIT_DATA)
        words = struct.unpack_from(f"<{min(count, 16)}Q", page, ioctls.RUN_EXIT_DATA + 8)
        if suberror != 1:
            return f"KVM internal error {suberror}: {' '.join(f'{word:#x}' for word in words)}"
        code = self._instruction_bytes()
        return f"KVM could not emulate the instruction at {self.pc:#x}: {code.hex(' ') or 'not readable'}"

    def _instruction_bytes(self) -> bytes:
        code = bytearray()
        for linear in range(self.pc, self.pc + 15):
            physical = self.translate(linear)
            if physical is None:
                break
            code += self._memory.read_bytes(physical, 1)
        return bytes(code)

    def has_work(self) -> bool:
        if self.signalled.pending:
            return True
        if self._activity is not Activity.HALTED:
            return self._activity is Activity.RUNNING
        if (self._nmi or self._nmi_given) and self._would_take_nmi():
            return True
        with self._lock:
            return bool(self._page[ioctls.RUN_IF_FLAG]) and self._wanted()

    def _would_take_nmi(self) -> bool:
        look = CpuState()
        state.read_events(self._fd, look)
        self._nmi_given = look.events.nmi_pending
        return (self._nmi or self._nmi_given) and not look.events.nmi_blocked

    def inject_nmi(self) -> None:
        if self._activity is not Activity.WAIT_FOR_SIPI:
            self._nmi = True
            self.look()

    @property
    def task_priority(self) -> int:
        """CR8. KVM takes it from here at each entry, and leaves it here."""
        with self._door:
            return self._page[ioctls.RUN_CR8] & 15 if self._open else 0

    @task_priority.setter
    def task_priority(self, value: int) -> None:
        with self._door:
            if self._open:
                self._page[ioctls.RUN_CR8] = value

    def _obey(self) -> None:
        """Do what INIT and SIPI want."""
        if self.signalled.pending:
            with self._lock:
                self.signalled.obey(self)

    def reset(self) -> None:
        self.signalled.forget()
        fresh = CpuState(activity=Activity.WAIT_FOR_SIPI if self.index else Activity.RUNNING)
        fresh.gprs[2] = 0x600
        if self.index:
            fresh.apic_base &= ~_APIC_BASE_BSP
        fresh.msrs = self._reset_msrs
        self.set_state(fresh)

    def get_state(self) -> CpuState:
        self._obey()
        self._settle()
        result = CpuState(activity=self._activity)
        state.read_regs(self._fd, result)
        state.read_sregs(self._fd, result)
        state.read_events(self._fd, result)
        result.cr8 = self.task_priority
        result.events.nmi_pending |= self._nmi
        if result.events.interrupt is None:
            result.events.interrupt = self._acknowledged
        state.read_fpu(self._fd, result)
        result.msrs = state.read_msrs(self._fd, list(self._reset_msrs))
        if self.apic is not None:
            with self._lock:
                result.lapic = self.apic.registers()
        return result

    def set_state(self, new: CpuState) -> None:
        self._settle()
        state.write_fpu(self._fd, new)
        state.write_sregs(self._fd, new)
        msrs = {number: value for number, value in new.msrs.items() if number in self._reset_msrs}
        state.write_msrs(self._fd, msrs)
        state.write_regs(self._fd, new)
        state.write_events(self._fd, new)
        # Without a local APIC in the kernel every KVM_RUN takes CR8 from here.
        _QUAD.pack_into(self._page, ioctls.RUN_CR8, new.cr8)
        self._nmi, self._nmi_given = new.events.nmi_pending, False
        self._acknowledged = new.events.interrupt
        self._interrupts_changed = True
        self._activity = new.activity
        # An entry that comes out at once tells whether the guest can take an interrupt as it is now.
        self._unfinished = True
        self._settle()
        self._outcome = None
        if self.apic is not None:
            with self._lock:
                if new.apic_base != self.apic.base:
                    self.apic.set_base(new.apic_base)
                if new.lapic:
                    self.apic.set_registers(new.lapic)

    def cpuid(self, leaf: int, subleaf: int) -> Registers:
        return self._cpuid(leaf, subleaf)

    def translate(self, virtual: int) -> int | None:
        # KVM_TRANSLATE is no help: it says nothing of 1 GiB pages, and some KVMs answer it for long mode only.
        self._settle()
        look = CpuState()
        state.read_sregs(self._fd, look)
        with self._lock:
            return paging.translate(
                self._memory.read, paging.Controls(look.cr0, look.cr3, look.cr4, look.efer), virtual
            )

    @property
    def halted(self) -> bool:
        return self._activity is not Activity.RUNNING

    @property
    def pc(self) -> int:
        self._settle()
        look = CpuState()
        state.read_regs(self._fd, look)
        state.read_sregs(self._fd, look)
        return look.cs.base + look.rip & (1 << 64) - 1

    def close(self) -> None:
        with self._door:
            if self._open:
                self._open = False
                self._page.close()
                os.close(self._fd)


class _Pin:
    """The inputs. KVM takes a vector only when it is handed one, so there is never anything to settle."""

    def __init__(self, vcpu: KvmVcpu) -> None:
        self._vcpu = vcpu

    def settle(self) -> None:
        return

    def changed(self) -> None:
        self._vcpu.interrupts_changed()

    def task_priority(self) -> int:
        return self._vcpu.task_priority

    def set_task_priority(self, value: int) -> None:
        self._vcpu.task_priority = value

    def nmi(self) -> None:
        self._vcpu.inject_nmi()

    def init(self) -> None:
        self._vcpu.signalled.init()
        self._vcpu.look()

    def startup(self, vector: int) -> None:
        self._vcpu.signalled.startup(vector)
        self._vcpu.look()

"""A vCPU that KVM runs.

The interrupt controller lives in user space, so interrupts are injected here, between two KVM_RUNs, when the guest can
take one; where it cannot yet, KVM is asked to come back as soon as it can.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading

from varan.accel.base import HALTED, KICKED, SHUTDOWN, Exit, ExitReason, Vcpu
from varan.accel.kvm import ioctls, kick, state
from varan.accel.kvm.system import KvmSystem
from varan.accel.state import Activity, CpuState
from varan.core.irq import InterruptController
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace

_APIC_BASE_BSP = 1 << 8
_WIDTHS = {1: struct.Struct("<B"), 2: struct.Struct("<H"), 4: struct.Struct("<I")}


class KvmVcpu(Vcpu):
    """See `Vcpu`. Made on the thread that runs it."""

    def __init__(
        self, system: KvmSystem, vm: int, index: int, memory: MemorySpace, ports: PortSpace, lock: threading.RLock
    ) -> None:
        self.index = index
        self.pin = _Pin(self)
        self._memory, self._ports, self._lock = memory, ports, lock
        self._thread = threading.get_ident()
        self._fd = fcntl.ioctl(vm, ioctls.CREATE_VCPU, index)
        self._page = mmap.mmap(self._fd, system.run_size)
        fcntl.ioctl(self._fd, ioctls.SET_CPUID2, system.cpuid(index), True)
        self._msr_numbers = system.msr_numbers()
        self._reset_msrs: dict[int, int] | None = None
        self._controller: InterruptController | None = None
        self._kicked = False
        self._nmi = False
        self._activity = Activity.RUNNING
        self.reset()

    def connect(self, controller: InterruptController) -> None:
        self._controller = controller

    def kick(self) -> None:
        self._kicked = True
        self.interrupt_run()

    def interrupt_run(self) -> None:
        """Get the thread out of KVM_RUN, now or at once when it enters."""
        self._page[ioctls.RUN_IMMEDIATE_EXIT] = 1
        kick.send(self._thread)

    def interrupts_changed(self) -> None:
        """The controller may answer differently; the vCPU's own thread looks anyway before it enters the guest."""
        if threading.get_ident() != self._thread:
            self.interrupt_run()

    def run(self) -> Exit:
        if self._activity is not Activity.RUNNING:
            if not self.has_work():
                return HALTED
            self._activity = Activity.RUNNING
        page = self._page
        while True:
            # Cleared before the reasons for a kick are looked at: a kick that comes in between sets it again.
            page[ioctls.RUN_IMMEDIATE_EXIT] = 0
            if self._kicked:
                self._kicked = False
                return KICKED
            self._inject()
            try:
                fcntl.ioctl(self._fd, ioctls.RUN, 0)
            except (InterruptedError, BlockingIOError):
                continue
            exit = self._handle_exit(page)
            if exit is not None:
                return exit

    def _inject(self) -> None:
        if self._nmi:
            self._nmi = False
            fcntl.ioctl(self._fd, ioctls.NMI, 0)
        controller = self._controller
        if controller is None:
            return
        with self._lock:
            wanted = controller.peek() is not None
            if wanted and self._page[ioctls.RUN_READY_FOR_INTERRUPT] and self._page[ioctls.RUN_IF_FLAG]:
                fcntl.ioctl(self._fd, ioctls.INTERRUPT, struct.pack("<I", controller.acknowledge()))
                self._page[ioctls.RUN_READY_FOR_INTERRUPT] = 0
                wanted = controller.peek() is not None
        self._page[ioctls.RUN_REQUEST_INTERRUPT_WINDOW] = wanted

    def _handle_exit(self, page: mmap.mmap) -> Exit | None:
        reason = page[ioctls.RUN_EXIT_REASON]
        if reason == ioctls.EXIT_IO:
            self._port_access(page)
        elif reason == ioctls.EXIT_MMIO:
            self._memory_access(page)
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
            for at in range(offset, offset + count * size, size):
                if out:
                    self._ports.write(port, size, width.unpack_from(page, at)[0])
                else:
                    width.pack_into(page, at, self._ports.read(port, size))

    def _memory_access(self, page: mmap.mmap) -> None:
        address, data, length, is_write = ioctls.RUN_MMIO.unpack_from(page, ioctls.RUN_EXIT_DATA)
        with self._lock:
            if is_write:
                self._memory.write(address, length, int.from_bytes(data[:length], "little"))
            else:
                value = self._memory.read(address, length)
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
        if self._nmi:
            return True
        if self._activity is not Activity.HALTED or self._controller is None:
            return self._activity is Activity.RUNNING
        with self._lock:
            return bool(self._page[ioctls.RUN_IF_FLAG]) and self._controller.peek() is not None

    def inject_nmi(self) -> None:
        if self._activity is not Activity.WAIT_FOR_SIPI:
            self._nmi = True

    def reset(self) -> None:
        fresh = CpuState(activity=Activity.WAIT_FOR_SIPI if self.index else Activity.RUNNING)
        if self._reset_msrs is None:
            self._reset_msrs = state.read_msrs(self._fd, self._msr_numbers)
        fresh.gprs[2] = 0x600
        if self.index:
            fresh.apic_base &= ~_APIC_BASE_BSP
        fresh.msrs = self._reset_msrs
        self.set_state(fresh)

    def get_state(self) -> CpuState:
        result = CpuState(activity=self._activity)
        state.read_regs(self._fd, result)
        state.read_sregs(self._fd, result)
        state.read_events(self._fd, result)
        result.events.nmi_pending |= self._nmi
        state.read_fpu(self._fd, result)
        result.msrs = state.read_msrs(self._fd, self._msr_numbers)
        return result

    def set_state(self, new: CpuState) -> None:
        state.write_fpu(self._fd, new)
        state.write_sregs(self._fd, new)
        known = self._reset_msrs or {}
        state.write_msrs(self._fd, {number: value for number, value in new.msrs.items() if number in known})
        state.write_regs(self._fd, new)
        state.write_events(self._fd, new)
        self._nmi = False
        self._activity = new.activity
        self._page[ioctls.RUN_READY_FOR_INTERRUPT] = 0
        self._page[ioctls.RUN_IF_FLAG] = new.rflags >> 9 & 1

    def translate(self, virtual: int) -> int | None:
        buffer = bytearray(ioctls.TRANSLATION.pack(virtual, 0, 0, 0, 0))
        fcntl.ioctl(self._fd, ioctls.TRANSLATE, buffer, True)
        _, physical, valid, _, _ = ioctls.TRANSLATION.unpack(buffer)
        return physical if valid else None

    @property
    def halted(self) -> bool:
        return self._activity is not Activity.RUNNING

    @property
    def pc(self) -> int:
        look = CpuState()
        state.read_regs(self._fd, look)
        state.read_sregs(self._fd, look)
        return look.cs.base + look.rip & (1 << 64) - 1

    def close(self) -> None:
        self._page.close()
        os.close(self._fd)


class _Pin:
    """The INTR input: KVM takes a vector only when it is handed one, so there is never anything to settle."""

    def __init__(self, vcpu: KvmVcpu) -> None:
        self._vcpu = vcpu

    def settle(self) -> None:
        return

    def changed(self) -> None:
        self._vcpu.interrupts_changed()

"""Exceptions and interrupts delivered in Python, by the rules of the SDM (volume 3, chapter 6).

The portable counterpart of the library's own delivery, which can only be called through machine code. Task gates are
not supported: they raise #GP, as a gate of unknown type does.
"""

from __future__ import annotations

from typing import NamedTuple

from varan.accel import paging
from varan.accel.paging import Controls, Walk
from varan.accel.unicorn import layout
from varan.accel.unicorn.cpu import Engine
from varan.accel.unicorn.segments import Descriptor, Fault, Gate, load_segment, read_descriptor
from varan.core.memory import MemorySpace

DF, TS, NP, SS, GP, PF = 8, 10, 11, 12, 13, 14
_CONTRIBUTORY = frozenset((0, TS, NP, SS, GP))
_HAS_ERROR_CODE = frozenset((DF, TS, NP, SS, GP, PF, 17, 21))
_MASK_64 = (1 << 64) - 1
_TF, _IF, _NT, _RF, _VM, _AC = 1 << 8, 1 << 9, 1 << 14, 1 << 16, 1 << 17, 1 << 18
_PE = 1 << 0


class TripleFault(Exception):
    """A fault while a double fault was being delivered: the CPU shuts down."""


class Event(NamedTuple):
    """What is delivered. `soft`: INT n, INT3 or INTO; `exception`: raised by an instruction, so that a fault during
    its delivery may become a double fault."""

    vector: int
    rip: int
    error_code: int | None = None
    soft: bool = False
    exception: bool = True

    @property
    def external(self) -> int:
        """EXT in the error codes that delivering this causes."""
        return 0 if self.soft else 1


class Delivery:
    """Delivers into one engine. Raises TripleFault."""

    def __init__(self, engine: Engine, memory: MemorySpace) -> None:
        self._engine = engine
        self._env = engine.env
        self._memory = memory

    def exception(self, vector: int) -> None:
        """Deliver what the CPU loop has raised: a fault, a trap or a software interrupt."""
        env = self._env
        soft = bool(env.exception_is_int)
        rip = env.eip
        if soft:
            # The library has moved RIP behind INT n; a fault during its delivery must point at it.
            env.eip = rip - (1 if vector in (3, 4) else 2) & _MASK_64
        code = env.error_code & 0xFFFF_FFFF if not soft and vector in _HAS_ERROR_CODE else None
        self._deliver(Event(vector, rip, code, soft, not soft))
        # The library takes the next fault for a second one as long as this is set.
        env.old_exception = -1

    def interrupt(self, vector: int) -> None:
        """Deliver an external interrupt or, as vector 2, an NMI."""
        self._deliver(Event(vector, self._env.eip, exception=False))
        self._env.old_exception = -1

    def _deliver(self, event: Event) -> None:
        while True:
            try:
                self._attempt(event)
                return
            except Fault as fault:
                event = self._escalate(event, fault)

    def _escalate(self, event: Event, fault: Fault) -> Event:
        """What a fault during the delivery of `event` becomes (SDM volume 3, table 6-5)."""
        severe = fault.vector in _CONTRIBUTORY or fault.vector == PF
        if fault.vector == PF:
            self._env.cr[2] = fault.address
        if event.exception and severe:
            if event.vector == DF:
                raise TripleFault
            if event.vector == PF or (event.vector in _CONTRIBUTORY and fault.vector != PF):
                return Event(DF, self._env.eip, 0)
        return Event(fault.vector, self._env.eip, fault.error_code)

    def _attempt(self, event: Event) -> None:
        env = self._env
        if not env.cr[0] & _PE:
            self._real_mode(event)
            return
        if env.efer & paging.EFER_LMA:
            self._long_mode(event)
        else:
            self._protected_mode(event)

    def _real_mode(self, event: Event) -> None:
        env = self._env
        if event.vector * 4 + 3 > env.idt.limit:
            raise Fault(GP, event.vector * 8 + 2)
        entry = self.read(env.idt.base + event.vector * 4, 4)
        stack = env.segs[layout.SS]
        pointer = env.regs[4]
        for value in (self._engine.flags(), env.segs[layout.CS].selector, event.rip):
            pointer = (pointer & ~0xFFFF) | (pointer - 2 & 0xFFFF)
            self.write(stack.base + (pointer & 0xFFFF), value & 0xFFFF, 2)
        env.regs[4] = pointer
        code = env.segs[layout.CS]
        code.selector = entry >> 16
        code.base = code.selector << 4
        env.eip = entry & 0xFFFF
        env.eflags &= ~(_IF | _TF | _AC | _RF)
        self._engine.update_hflags()

    def _gate(self, event: Event, size: int) -> Gate:
        env = self._env
        code = event.vector * 8 + 2
        if event.vector * size + size - 1 > env.idt.limit:
            raise Fault(GP, code | event.external)
        raw = self.read(env.idt.base + event.vector * size, 8)
        high = self.read(env.idt.base + event.vector * size + 8, 4) if size == 16 else 0
        gate = Gate.parse(raw, high)
        if gate.kind not in ((14, 15) if size == 16 else (6, 7, 14, 15)):
            raise Fault(GP, code | event.external)
        if event.soft and gate.privilege < self._privilege():
            raise Fault(GP, code)
        if not gate.present:
            raise Fault(NP, code | event.external)
        return gate

    def _privilege(self) -> int:
        return int(self._env.hflags & 3)

    def _code_segment(self, event: Event, selector: int, *, long: bool) -> Descriptor:
        external = event.external
        if not selector & 0xFFFC:
            raise Fault(GP, external)
        code = read_descriptor(self, self._env, selector)
        if code is None or not code.is_code or code.privilege > self._privilege():
            raise Fault(GP, (selector & 0xFFFC) | external)
        if long and (not code.long or code.big):
            raise Fault(GP, (selector & 0xFFFC) | external)
        if not code.present:
            raise Fault(NP, (selector & 0xFFFC) | external)
        return code

    def _long_mode(self, event: Event) -> None:
        env = self._env
        gate = self._gate(event, 16)
        code = self._code_segment(event, gate.selector, long=True)
        current = self._privilege()
        target = current if code.conforming else code.privilege
        if gate.stack_index:
            pointer = self._task_stack(36 + 8 * (gate.stack_index - 1), event)
        elif target < current:
            pointer = self._task_stack(4 + 8 * target, event)
        else:
            pointer = env.regs[4]
        stack = env.segs[layout.SS]
        frame = [stack.selector, env.regs[4], self._engine.flags(), env.segs[layout.CS].selector, event.rip]
        if event.error_code is not None:
            frame.append(event.error_code)
        pointer &= ~15
        for value in frame:
            pointer = pointer - 8 & _MASK_64
            self.write(pointer, value, 8, privilege=target)
        env.regs[4] = pointer
        if target < current:
            # A null selector whose RPL is the new privilege level.
            load_segment(stack, target, 0, 0, target << 13)
        self._enter(gate, code, target)

    def _task_stack(self, offset: int, event: Event) -> int:
        task = self._env.tr
        if offset + 7 > task.limit or not task.flags & 0x8000:
            raise Fault(TS, (task.selector & 0xFFFC) | event.external)
        pointer = self.read(task.base + offset, 8)
        if (pointer >> 47) not in (0, (1 << 17) - 1):
            raise Fault(SS, event.external)
        return pointer

    def _protected_mode(self, event: Event) -> None:
        env = self._env
        gate = self._gate(event, 8)
        code = self._code_segment(event, gate.selector, long=False)
        current = self._privilege()
        flags = self._engine.flags()
        if flags & _VM and code.privilege:
            raise Fault(GP, (gate.selector & 0xFFFC) | event.external)
        target = current if code.conforming else code.privilege
        stack = env.segs[layout.SS]
        frame = [flags, env.segs[layout.CS].selector, event.rip]
        new_stack: tuple[int, Descriptor] | None = None
        pointer, base, big = env.regs[4], stack.base, bool(stack.flags & 1 << 22)
        if target < current:
            selector, pointer = self._inner_stack(target, event)
            descriptor = self._stack_segment(selector, target, event)
            new_stack = selector, descriptor
            base, big = descriptor.base, descriptor.big
            frame = [stack.selector, env.regs[4], *frame]
            if flags & _VM:
                frame = [env.segs[index].selector for index in (layout.GS, layout.FS, layout.DS, layout.ES)] + frame
        if event.error_code is not None:
            frame.append(event.error_code)
        pointer = self._push(frame, pointer, base, big=big, size=4 if gate.kind >= 14 else 2, privilege=target)
        if flags & _VM:
            for index in (layout.GS, layout.FS, layout.DS, layout.ES):
                load_segment(env.segs[index], 0, 0, 0, 0)
        if new_stack is not None:
            selector, descriptor = new_stack
            load_segment(stack, (selector & ~3) | target, descriptor.base, descriptor.limit, descriptor.flags)
        env.regs[4] = pointer
        self._enter(gate, code, target)

    def _push(self, frame: list[int], pointer: int, base: int, *, big: bool, size: int, privilege: int) -> int:
        mask = 0xFFFF_FFFF if big else 0xFFFF
        offset = pointer & mask
        for value in frame:
            offset = offset - size & mask
            self.write(base + offset & 0xFFFF_FFFF, value & ((1 << 8 * size) - 1), size, privilege=privilege)
        return offset if big else (pointer & ~0xFFFF) | offset

    def _inner_stack(self, level: int, event: Event) -> tuple[int, int]:
        task = self._env.tr
        wide = bool(task.flags & 0x800)
        size = 4 if wide else 2
        offset = size + 2 * size * level
        if not task.flags & 0x8000 or offset + size + 1 > task.limit:
            raise Fault(TS, (task.selector & 0xFFFC) | event.external)
        pointer = self.read(task.base + offset, size)
        return self.read(task.base + offset + size, 2), pointer

    def _stack_segment(self, selector: int, level: int, event: Event) -> Descriptor:
        code = (selector & 0xFFFC) | event.external
        if not selector & 0xFFFC or selector & 3 != level:
            raise Fault(TS, code)
        stack = read_descriptor(self, self._env, selector)
        if stack is None or not stack.is_writable_data or stack.privilege != level:
            raise Fault(TS, code)
        if not stack.present:
            raise Fault(SS, code)
        return stack

    def _enter(self, gate: Gate, code: Descriptor, privilege: int) -> None:
        env = self._env
        selector = (gate.selector & ~3) | privilege
        load_segment(env.segs[layout.CS], selector, code.base, code.limit, code.flags)
        env.eip = gate.offset
        cleared = _TF | _VM | _RF | _NT | (0 if gate.kind & 1 else _IF)
        env.eflags &= ~cleared
        env.hflags &= ~layout.HFLAG_INHIBIT_IRQ
        self._engine.update_hflags()

    def read(self, linear: int, size: int) -> int:
        """A supervisor's read of a system structure. Raises Fault."""
        return self._access(linear, size, None, 0)

    def write(self, linear: int, value: int, size: int, *, privilege: int = 0) -> None:
        """A write to the stack of privilege level `privilege`. Raises Fault."""
        self._access(linear, size, value, privilege)

    def _access(self, linear: int, size: int, value: int | None, privilege: int) -> int:
        room = 4096 - (linear & 4095)
        if size > room:
            low = self._access(linear, room, None if value is None else value & ((1 << 8 * room) - 1), privilege)
            high = self._access(linear + room, size - room, None if value is None else value >> 8 * room, privilege)
            return low | high << 8 * room
        physical = self._translate(linear & _MASK_64, value is not None, privilege)
        if value is None:
            return self._memory.read(physical, size)
        self._memory.write(physical, size, value)
        return 0

    def _translate(self, linear: int, write: bool, privilege: int) -> int:
        env = self._env
        user = privilege == 3
        if env.efer & paging.EFER_LMA and (linear >> 47) not in (0, (1 << 17) - 1):
            raise Fault(SS if write else GP, 0)
        controls = Controls(env.cr[0], env.cr[3], env.cr[4], env.efer)
        found = paging.walk(self._memory.read, controls, linear)
        error = write << 1 | user << 2
        if found is None:
            raise Fault(PF, error, linear)
        read_only = write and not found.writable and (user or controls.cr0 & paging.CR0_WP)
        forbidden = found.user and not user and controls.cr4 & paging.CR4_SMAP
        if read_only or (user and not found.user) or forbidden:
            raise Fault(PF, error | 1, linear)
        self._mark_used(found, write)
        return found.physical

    def _mark_used(self, found: Walk, write: bool) -> None:
        leaf = found.entries[-1:]
        for entry in found.entries:
            at, size = entry
            wanted = paging.ACCESSED | (paging.DIRTY if write and entry in leaf else 0)
            value = self._memory.read(at, size)
            if value & wanted != wanted:
                self._memory.write(at, size, value | wanted)

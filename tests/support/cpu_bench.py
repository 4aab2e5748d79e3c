"""A vCPU on a bench: some RAM, a ROM, one device, one interrupt controller, and states to start programs from."""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Callable

from tests.support.guest_code import CODE
from tests.support.programs import PROGRAMS
from varan.accel import registry
from varan.accel.base import Exit, ExitReason, Vcpu
from varan.accel.state import Activity, CpuState, Segment, Table
from varan.core.irq import IntrPin, NoPin
from varan.core.memory import GuestRam, MemorySpace
from varan.core.ports import PortSpace, all_ones

MIB = 1 << 20
RAM_SIZE = 2 * MIB
ROM = (1 << 32) - 0x10000
DEVICE, HIGH_DEVICE = 0xFE00_0000, (1 << 32) + 4 * MIB
HIGH_RAM = 1 << 32
ALIAS, ALIASED = 0x20_1000, 0x1_0000

TASK, IDT, GDT = 0xC000, 0xD000, 0xE000
HANDLERS = 0x1_1000
KERNEL_STACK, INNER_STACK, IST_STACK, USER_STACK = 0x1_A000, 0x1_8000, 0x1_C000, 0xB000

CODE32, DATA, CODE64, UCODE32, UDATA, UCODE64, TSS = 0x08, 0x10, 0x18, 0x28, 0x30, 0x38, 0x40
_DESCRIPTORS = (
    *(0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF, 0x00AF9B000000FFFF, 0x00CF93000000FFFF),
    *(0x00CFFB000000FFFF, 0x00CFF3000000FFFF, 0x00AFFB000000FFFF),
    *(0x0000_8900_0000_0067 | TASK << 16, 0),
)

PRESENT_WRITABLE_USER, LARGE, NO_EXECUTE = 0x7, 0x80, 1 << 63
RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 = range(16)
MODES = {"real": "16", "protected": "32", "long": "64"}
PATIENCE = 10.0
"""Seconds that a program may take before its test fails."""


class Controller:
    """An interrupt controller with a queue of vectors."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self.pin: IntrPin = NoPin()
        self.requests: deque[int] = deque()
        self.acknowledged: list[int] = []

    def peek(self) -> int | None:
        return self.requests[0] if self.requests else None

    def acknowledge(self) -> int:
        self.acknowledged.append(self.requests.popleft())
        return self.acknowledged[-1]

    def request(self, vector: int, *, urgent: bool = False) -> None:
        """Ask for an interrupt; an urgent one goes before those that wait. Any thread."""
        with self._lock:
            self.pin.settle()
            (self.requests.appendleft if urgent else self.requests.append)(vector)
            self.pin.changed()


class CpuBench:
    """`vcpu` with what stands around it. `accelerator` is a name with options, as on the command line.

    The device sits at ports 0x100-0x103 and at DEVICE and HIGH_DEVICE, notes every access in `accesses` as (kind,
    offset, size, value), and answers reads with 0x1716151413121110 shifted to the offset. Port 0x80 calls `on_post`.
    """

    def __init__(self, accelerator: str) -> None:
        kind, *words = accelerator.split(",")
        options = {key: value for key, _, value in (word.partition("=") for word in words)}
        self.accelerator = registry.load(kind)(options)
        self.no_execute = options.get("tlb-stub") != "off"
        """Whether the vCPU has NX: the engine hides it where it could not keep its promise."""
        self.lock = threading.RLock()
        self.memory, self.ports = MemorySpace(), PortSpace()
        self.accesses: list[tuple[str, int, int, int]] = []
        self.on_post: Callable[[], None] = lambda: None
        self._rams = [GuestRam(RAM_SIZE), GuestRam(0x10000, "rom"), GuestRam(2 * MIB, "high")]
        self.ram, self.rom = self._rams[0].view, self._rams[1].view
        self._map()
        self.vm = self.accelerator.create_vm(self.memory, self.ports, self.lock)
        self.vcpu: Vcpu = self.vm.create_vcpu(0)
        self.controller = Controller(self.lock)
        self.controller.pin = self.vcpu.pin
        self.vcpu.connect(self.controller)
        self._tables()

    def _map(self) -> None:
        low, rom, high = self._rams
        self.memory.map_ram(0, low)
        self.memory.map_ram(ROM, rom, readonly=True)
        self.memory.map_ram(HIGH_RAM, high)
        for base in (DEVICE, HIGH_DEVICE):
            self.memory.map_mmio(base, 0x1000, self._read, self._write, name="device")
        self.ports.map(0x100, 4, self._port_read, self._port_write, width=4, name="device")
        self.ports.map(0x80, 1, lambda _o, _s: 0, lambda _o, _s, _v: self.on_post(), name="post")

    def _answer(self, kind: str, offset: int, size: int) -> int:
        value = 0x1716151413121110 >> 8 * (offset & 7) & all_ones(size)
        self.accesses.append((kind, offset, size, value))
        return value

    def _read(self, offset: int, size: int) -> int:
        return self._answer("read", offset, size)

    def _write(self, offset: int, size: int, value: int) -> None:
        self.accesses.append(("write", offset, size, value))

    def _port_read(self, offset: int, size: int) -> int:
        return self._answer("in", offset, size)

    def _port_write(self, offset: int, size: int, value: int) -> None:
        self.accesses.append(("out", offset, size, value))

    def quads(self, address: int, *values: int) -> None:
        """Put 64-bit words into low RAM."""
        struct.pack_into(f"<{len(values)}Q", self.ram, address, *values)

    def quad(self, address: int) -> int:
        """A 64-bit word of low RAM."""
        return int.from_bytes(self.ram[address : address + 8], "little")

    def _tables(self) -> None:
        allow = PRESENT_WRITABLE_USER
        self.quads(0x1000, 0x2000 | allow)
        self.quads(0x2000, 0x3000 | allow, 0, 0, 0x4000 | allow, 0x7000 | allow)
        self.quads(0x3000, 0x5000 | allow, 0x6000 | allow)
        self.quads(0x5000, *(page << 12 | allow for page in range(512)))
        self.quads(0x6008, ALIASED | allow | (NO_EXECUTE if self.no_execute else 0))
        self.quads(0x4000 + (DEVICE >> 21 & 511) * 8, DEVICE | allow | LARGE)
        self.quads(0x4000 + (ROM >> 21 & 511) * 8, (ROM & ~0x1FFFFF) | allow | LARGE)
        self.quads(0x7000, HIGH_RAM | allow | LARGE, 0, HIGH_DEVICE | allow | LARGE)
        self.quads(GDT, *_DESCRIPTORS)

    def put(self, program: str, address: int = CODE) -> None:
        """Load a program of tests.support.programs into low RAM."""
        code = PROGRAMS[program].code
        self.memory.write_ram(address, code)

    def gate(self, vector: int, target: int, *, privilege: int = 0, ist: int = 0, present: bool = True) -> None:
        """Write an interrupt's entry for all three modes: at 0, and at IDT in the present `state`'s format."""
        self.ram[vector * 4 : vector * 4 + 4] = struct.pack("<HH", target & 0xFFFF, 0) if target < 0x10000 else bytes(4)
        kind = 0x8E | privilege << 5 if present else 0x0E
        if self.wide:
            entry = struct.pack("<HHBBHQ", target & 0xFFFF, CODE64, ist, kind, target >> 16, 0)
        else:
            entry = struct.pack("<HHBBH", target & 0xFFFF, CODE32, 0, kind, target >> 16)
        at = IDT + vector * len(entry)
        self.ram[at : at + len(entry)] = entry

    wide = True
    """Whether `gate` writes 64-bit entries: set by `start`."""

    def start(self, mode: str, program: str, *, user: bool = False) -> CpuState:
        """The state from which `program` runs at CODE in a mode of MODES. Give it to `vcpu.set_state`."""
        self.put(program)
        self.wide = mode == "long"
        state = {"real": _real, "protected": _protected, "long": _long}[mode](user)
        state.rip = CODE
        if not self.no_execute:
            state.efer &= ~0x800
        self._task_segment()
        return state

    def _task_segment(self) -> None:
        if self.wide:
            struct.pack_into("<IQ", self.ram, TASK, 0, INNER_STACK)
            struct.pack_into("<Q", self.ram, TASK + 36, IST_STACK)
        else:
            struct.pack_into("<III", self.ram, TASK, 0, INNER_STACK, DATA)

    def handlers(self) -> None:
        """Handlers for vectors 0 to 31 that note what they are given; `note` reads it."""
        self.put("vectors_64" if self.wide else "vectors_32", HANDLERS)
        for vector in range(32):
            self.gate(vector, HANDLERS + 16 * vector)

    def note(self) -> dict[str, int]:
        """What the handler noted: vector, error, rip, cs, flags, rsp, ss, cr2, and its own final stack pointer."""
        names = ("vector", "error", "rip", "cs", "flags", "rsp", "ss", "cr2", "end")
        return {name: self.quad(0x9100 + 8 * index) for index, name in enumerate(names)}

    def run(self) -> Exit:
        """Run until something else than a kick comes back; AssertionError when that takes too long."""
        expired = threading.Event()

        def give_up() -> None:
            expired.set()
            self.vcpu.kick()

        watchdog = threading.Timer(PATIENCE, give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            while True:
                exit = self.vcpu.run()
                if exit.reason is not ExitReason.KICKED:
                    return exit
                assert not expired.is_set(), f"still running at {self.vcpu.pc:#x}"
        finally:
            watchdog.cancel()

    def finish(self, state: CpuState | None = None) -> CpuState:
        """Set `state`, run until the vCPU halts with nothing to do, and return the state then."""
        if state is not None:
            self.vcpu.set_state(state)
        while True:
            exit = self.run()
            assert exit.reason is ExitReason.HALTED, exit
            if not self.vcpu.has_work():
                return self.vcpu.get_state()

    def close(self) -> None:
        """Release everything."""
        self.vcpu.close()
        self.vm.close()
        del self.ram, self.rom
        for ram in self._rams:
            ram.close()


def _real(_user: bool) -> CpuState:
    state = CpuState(cs=Segment(0, 0, 0xFFFF, 0x9B), rflags=2)
    state.idt = Table(0, 0x3FF)
    state.gprs[RSP] = 0x7000
    return state


def _flat(selector: int, access: int) -> Segment:
    return Segment(selector, 0, 0xFFFF_FFFF, access)


def _protected(user: bool) -> CpuState:
    state = CpuState(cr0=0x11, cr4=0x200)
    ring = 3 if user else 0
    state.cs = _flat(UCODE32 | 3, 0xC0FB) if user else _flat(CODE32, 0xC09B)
    for name in ("ds", "es", "fs", "gs", "ss"):
        setattr(state, name, _flat((UDATA if user else DATA) | ring, 0xC0F3 if user else 0xC093))
    state.gdt, state.idt = Table(GDT, 8 * len(_DESCRIPTORS) - 1), Table(IDT, 0x7FF)
    state.tr = Segment(TSS, TASK, 0x67, 0x8B)
    state.gprs[RSP] = USER_STACK if user else KERNEL_STACK
    return state


def _long(user: bool) -> CpuState:
    state = _protected(user)
    state.cr0, state.cr3, state.cr4, state.efer = 0x80000011, 0x1000, 0x220, 0xD01
    state.cs = _flat(UCODE64 | 3, 0xA0FB) if user else _flat(CODE64, 0xA09B)
    state.idt.limit = 0xFFF
    state.msrs = {
        0xC000_0081: (UCODE32 | 3) << 48 | CODE64 << 32,
        0xC000_0082: CODE + 0x40,
        0xC000_0084: 0x600,
        0x174: CODE64,
        0x175: INNER_STACK,
        0x176: CODE + 0x40,
    }
    return state


def halted(state: CpuState) -> CpuState:
    """The same state, in HLT."""
    state.activity = Activity.HALTED
    return state

"""One engine handle as a CPU: created, set right, and run.

What the public interface does wrong for a whole machine is put right here (docs/accelerators.md lists each with its
reason): the stop poll that restarts instructions, invalid opcodes that end the run, CR4 and the task register after
reset, an end address that looks like HLT.
"""

from __future__ import annotations

import ctypes
import threading

from varan.accel.base import AcceleratorError, Topology
from varan.accel.unicorn import layout, models
from varan.accel.unicorn import library as uc
from varan.accel.unicorn.hugepages import small_pages
from varan.accel.unicorn.layout import Cpu, DeviceOps, Env, Handle, MemoryRegion
from varan.accel.unicorn.library import Library
from varan.core.memory import MemorySpace, Region

PHYSICAL_BITS = 40
"""Width of the physical addresses that the library's page walker accepts."""

_Reset = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)


class Engine:
    """An engine in reset state with RAM mapped; `env` and `cpu` are its live registers.

    `size` bytes of translated code are kept at most. Raises AcceleratorError.
    """

    def __init__(self, library: Library, model: int, buffer_size: int, *, hide_nx: bool = False) -> None:
        self.library = library
        handle = ctypes.c_void_p()
        self._check(library.open(uc.ARCH_X86, uc.MODE_64, ctypes.byref(handle)), "open an engine")
        assert handle.value is not None
        self.handle: int = handle.value
        self.shared = 0
        """The address of the data page of this CPU's machine code, 0 without one."""
        self._callbacks: list[object] = []
        self._closing = threading.Lock()
        try:
            with small_pages():
                self._initialise(model, buffer_size)
            if not library.verified:
                layout.verify(library, self.handle)
                library.verified = True
        except BaseException:
            self.close()
            raise
        self.pointer: int = Handle.from_address(self.handle).cpu
        self.env_pointer = self.pointer + layout.ENV
        self.cpu = Cpu.from_address(self.pointer)
        self.env = Env.from_address(self.env_pointer)
        self._class_reset = _Reset(ctypes.c_uint64.from_address(self.cpu.cpu_class + layout.CLASS_RESET).value)
        top = Handle.from_address(self.handle)
        # Without this the library looks for a stop after every load and store, and then restarts the instruction.
        top.no_exit_request = 1
        models.hide_missing_features(self.env, hide_nx=hide_nx)
        self.reset()

    def _initialise(self, model: int, buffer_size: int) -> None:
        control = self.library.control
        self._check(control(self.handle, uc.CONTROL_WRITE | uc.CONTROL_CPU_MODEL, model), "choose the CPU model")
        self._check(
            control(self.handle, uc.CONTROL_WRITE | uc.CONTROL_BUFFER_SIZE, buffer_size), "size the code buffer"
        )
        # With no exit address at all none can be mistaken for HLT. This call also completes the engine.
        self._check(control(self.handle, uc.CONTROL_WRITE | uc.CONTROL_USE_EXITS, 1), "turn end addresses off")
        value = ctypes.c_uint64()
        self._check(self.library.read_register(self.handle, uc.REG_RIP, ctypes.byref(value)), "start the engine")

    def _check(self, code: int, what: str) -> None:
        if code:
            raise AcceleratorError(f"unicorn could not {what}: {self.explain(code)}")

    def explain(self, code: int) -> str:
        """The library's words for an error code."""
        text = self.library.explain(code)
        return text.decode() if text else f"error {code}"

    def close(self) -> None:
        """Release the engine."""
        with self._closing:
            if self.handle:
                self.library.close(self.handle)
                self.handle = 0

    def reset(self) -> None:
        """The architecture's state after reset."""
        self._class_reset(self.pointer)
        env = self.env
        env.cr[4] = 0
        env.xcr0 = 1
        # The library takes an interrupt's stack only from a task register that is available, not busy.
        env.tr.flags = 0x8900
        env.shared = self.shared
        env.hflags2 |= layout.HFLAG2_VIRTUAL_PRIORITY
        self.cpu.interrupt_request = layout.ALWAYS_ASK
        self.cpu.halted = 0

    def set_topology(self, topology: Topology, index: int) -> None:
        """What CPUID tells of the place of vCPU `index`."""
        self.env.apic_id, self.cpu.cores, self.cpu.threads = topology.apic_id(index), topology.cores, topology.threads

    def share(self, page: int) -> None:
        """Let the machine code find the CPU's data page at `page`."""
        self.shared = self.env.shared = page

    def start(self) -> int:
        """Run guest code from the present state; the library's error code. Releases the GIL."""
        return self.library.start(self.handle, self.env.eip, 0, 0, 0)  # type: ignore[no-any-return]

    def leave_chain(self) -> None:
        """Make guest code that runs ask for interrupts soon. Any thread."""
        with self._closing:
            if self.handle:
                self.library.cpu_exit(self.pointer)

    def keep(self, callback: object) -> object:
        """Hold on to a ctypes callback as long as the engine may call it."""
        self._callbacks.append(callback)
        return callback

    def hook(self, kind: int, callback: object, user: int = 0, instruction: int = 0) -> None:
        """Call `callback` (a ctypes function or a machine-code address) for interrupts or an instruction."""
        hook = ctypes.c_size_t()
        at = callback if isinstance(callback, int) else ctypes.cast(self.keep(callback), ctypes.c_void_p)  # type: ignore[arg-type]
        # Bounds that are empty mean everywhere.
        self._check(self.library.hook(self.handle, ctypes.byref(hook), kind, at, user, 1, 0, instruction), "add a hook")

    def handle_invalid_opcodes(self) -> None:
        """Have #UD delivered like any other exception; the library would end the run instead."""
        Handle.from_address(self.handle).stop_interrupt = 0

    def stop_now(self) -> None:
        """From the CPU loop's interrupt check: leave guest code before the next block."""
        Handle.from_address(self.handle).stop_request = 1
        self.cpu.exit_request = 1

    def replace_method(self, offset: int, address: int) -> None:
        """Put the function at `address` in place of a method of the CPU class."""
        ctypes.c_uint64.from_address(self.cpu.cpu_class + offset).value = address

    def map_ram(self, region: Region) -> int:
        """Map a RAM or ROM region; returns the library's own number for its first byte (a ram address)."""
        assert region.ram is not None
        library = self.library
        host = region.ram.address + region.offset
        code = library.map_ram(self.handle, region.start, region.end - region.start, uc.PROT_ALL, host)
        self._check(code, f"map {region.name} at {region.start:#x}")
        block = self._mapped_block(region.start)
        if region.readonly:
            # Not the library's own write protection: that would end the run at the first store.
            library.set_readonly(block, True)
        return library.ram_address(block)  # type: ignore[no-any-return]

    def map_mmio(self, start: int, size: int, read: object, write: object) -> None:
        """Send accesses to a run of physical addresses to callbacks, which take offsets from `start`."""
        self.keep((read, write))
        code = self.library.map_mmio(self.handle, start, size, read, None, write, None)
        self._check(code, f"map device memory at {start:#x}")
        ops = DeviceOps.from_address(MemoryRegion.from_address(self._mapped_block(start)).ops)
        if any(ops.defaults) or ops.widest:
            raise AcceleratorError("this build of unicorn maps device memory differently")
        # It would split an access of eight bytes.
        ops.widest = 8

    def _mapped_block(self, start: int) -> int:
        top = Handle.from_address(self.handle)
        for block in memoryview(ctypes.string_at(top.mapped_blocks, 8 * top.mapped_block_count)).cast("Q"):
            if MemoryRegion.from_address(block).start == start:
                return block
        raise AcceleratorError(f"unicorn lost the memory it mapped at {start:#x}")

    def flags(self) -> int:
        """RFLAGS; the library keeps the arithmetic flags apart and unevaluated."""
        env = self.env
        arithmetic = self.library.condition_codes(env.cc_dst, env.cc_src, env.cc_src2, env.cc_op)
        return int(env.eflags | arithmetic | (env.df & 0x400))

    def set_flags(self, flags: int) -> None:
        """Change RFLAGS inside a run (from a hook). `update_hflags` is wanted after that."""
        env = self.env
        env.cc_src = flags & 0x8D5
        env.cc_op = 1
        env.df = -1 if flags & 0x400 else 1
        env.eflags = (flags & ~0xCD5) | 2

    def update_hflags(self) -> None:
        """Make what the translator looks at follow the registers."""
        self.library.update_hflags(self.env_pointer)
        # The translator takes these from EFLAGS too; here they would outlive a change there.
        self.env.hflags &= ~layout.HFLAGS_FROM_EFLAGS

    def read_msr(self, number: int) -> int:
        """A model-specific register; 0 for one the library does not know."""
        access = uc.MsrAccess(number, 0)
        self.library.read_register(self.handle, uc.REG_MSR, ctypes.byref(access))
        return access.value

    def write_msr(self, number: int, value: int) -> None:
        """Set a model-specific register; one the library does not know is dropped."""
        access = uc.MsrAccess(number, value)
        self.library.write_register(self.handle, uc.REG_MSR, ctypes.byref(access))


def holes(memory: MemorySpace) -> list[tuple[int, int]]:
    """The runs (start, size) of physical addresses that are neither RAM nor ROM."""
    found: list[tuple[int, int]] = []
    at = 0
    for region in memory:
        if region.ram is None:
            continue
        if region.start > at:
            found.append((at, region.start - at))
        at = region.end
    if at < 1 << PHYSICAL_BITS:
        found.append((at, (1 << PHYSICAL_BITS) - at))
    return found

"""The accelerator contract: who runs the vCPUs, and what the rest of Varan may ask of them.

Threads: every method of a `Vcpu` is called on the one thread that runs it, except `kick` and the methods of its
`ProcessorPins`, which any thread may call. `varan.accel.executor` owns that thread and passes work to it.

I/O: an accelerator answers the guest's port and memory-mapped accesses itself, from the `PortSpace` and `MemorySpace`
it was created with, inside `Vcpu.run` and holding the machine lock; `run` returns only for what the machine must
decide.
"""

from __future__ import annotations

import abc
import enum
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from varan.accel.state import CpuState
from varan.core.irq import InterruptController, LocalController, ProcessorPins
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace
from varan.errors import VaranError

if TYPE_CHECKING:
    from varan.accel.cpuid import ModelInfo


class AcceleratorError(VaranError):
    """The accelerator cannot be used here, or has failed."""


class ExitReason(enum.Enum):
    """Why `Vcpu.run` came back."""

    KICKED = "kicked"
    """Somebody called `kick`, or the accelerator wants its caller to look at timers and requests."""
    HALTED = "halted"
    """The guest executed HLT (or waits for SIPI): nothing to run until `Vcpu.has_work`."""
    SHUTDOWN = "shutdown"
    """Triple fault."""
    INTERNAL_ERROR = "internal-error"
    """The accelerator cannot go on; `Exit.detail` says why."""


@dataclass(frozen=True, slots=True)
class Exit:
    """One return from the guest."""

    reason: ExitReason
    detail: str = ""


KICKED = Exit(ExitReason.KICKED)
HALTED = Exit(ExitReason.HALTED)
SHUTDOWN = Exit(ExitReason.SHUTDOWN)


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether an accelerator can be used on this host, whether it is a sensible default here, and why (not)."""

    usable: bool
    preferred: bool
    reason: str


APIC_HERTZ = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Topology:
    """How the vCPUs are arranged; the product is their number."""

    sockets: int = 1
    cores: int = 1
    threads: int = 1

    @property
    def cpus(self) -> int:
        """The number of vCPUs."""
        return self.sockets * self.cores * self.threads

    @property
    def thread_bits(self) -> int:
        """Bits of an APIC's number that tell threads of a core apart (SDM volume 3, "Hierarchical Mapping")."""
        return (self.threads - 1).bit_length()

    @property
    def package_bits(self) -> int:
        """Bits of an APIC's number that tell CPUs of a package apart."""
        return self.thread_bits + (self.cores - 1).bit_length()

    def place(self, index: int) -> tuple[int, int, int]:
        """Socket, core and thread of vCPU `index`."""
        core, thread = divmod(index, self.threads)
        socket, core = divmod(core, self.cores)
        return socket, core, thread

    def apic_id(self, index: int) -> int:
        """The number of vCPU `index`'s local APIC."""
        socket, core, thread = self.place(index)
        return socket << self.package_bits | core << self.thread_bits | thread


ONE_CPU = Topology()


def _nobody_waits() -> None:
    return


class Vcpu(abc.ABC):
    """One virtual x86 CPU. After creation it is in reset state; vCPUs other than the first wait for SIPI."""

    index: int
    pin: ProcessorPins
    """The inputs, for the interrupt controller."""
    gives_way: bool = False
    """Whether others wait for this thread: a guest that spins (PAUSE) should then come out of `run`. A hint."""
    wake: Callable[[], None] = staticmethod(_nobody_waits)
    """Called on any thread when a halted vCPU may have work that its own thread did not bring. `executor` sets it."""

    @abc.abstractmethod
    def run(self) -> Exit:
        """Run guest code until something needs a decision. Exceptions from device handlers propagate."""

    @abc.abstractmethod
    def kick(self) -> None:
        """Make a `run` that is going on, or the next one, return soon. Any thread; never blocks; never lost."""

    @abc.abstractmethod
    def connect(self, controller: InterruptController, apic: LocalController | None = None) -> None:
        """Wire the INTR input to the controller that answers acknowledge cycles.

        `apic`, which is the controller then, answers the vCPU's accesses to its local APIC's page and MSR.
        """

    @abc.abstractmethod
    def has_work(self) -> bool:
        """Whether a halted vCPU would wake: an interrupt it would take, an NMI."""

    @abc.abstractmethod
    def inject_nmi(self) -> None:
        """Raise the NMI input once."""

    @abc.abstractmethod
    def reset(self) -> None:
        """Put the vCPU into the architecture's state after reset (waiting for SIPI unless it is the first)."""

    @abc.abstractmethod
    def get_state(self) -> CpuState:
        """A copy of the whole state."""

    @abc.abstractmethod
    def set_state(self, state: CpuState) -> None:
        """Replace the whole state."""

    @abc.abstractmethod
    def translate(self, virtual: int) -> int | None:
        """The physical address behind a virtual one in the vCPU's present paging mode, None where nothing is mapped.

        Does not touch accessed bits or fault.
        """

    @abc.abstractmethod
    def cpuid(self, leaf: int, subleaf: int) -> tuple[int, int, int, int]:
        """What the instruction gives the guest in EAX, EBX, ECX and EDX."""

    def stop_counter(self) -> None:
        """Hold the time-stamp counter: guest time stands still from now on. The default lets it run on."""

    def start_counter(self) -> None:
        """Let the time-stamp counter go on from where it was held."""

    @property
    @abc.abstractmethod
    def halted(self) -> bool:
        """Whether it sits in HLT or waits for SIPI."""

    @property
    @abc.abstractmethod
    def pc(self) -> int:
        """The linear instruction pointer: CS base + RIP."""

    def close(self) -> None:
        """Release host resources."""


class Vm(abc.ABC):
    """An accelerator's side of one machine."""

    shares_thread: ClassVar[bool] = False
    """Whether all vCPUs must be run in turn on one thread."""

    def apic_hertz(self) -> int:
        """The frequency of the local APICs' timers: of the core crystal clock, where CPUID tells the guest one."""
        return APIC_HERTZ

    @abc.abstractmethod
    def create_vcpu(self, index: int) -> Vcpu:
        """Make vCPU `index` (0 first). Called on the thread that will run it."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release host resources; vCPUs are closed already."""


class Accelerator(abc.ABC):
    """A way to run guests. Register it with `varan.accel.registry.register`."""

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    description: ClassVar[str]

    @classmethod
    @abc.abstractmethod
    def availability(cls) -> Availability:
        """Whether this host can use it. Cheap, no side effect."""

    @classmethod
    @abc.abstractmethod
    def cpu_models(cls) -> list[str]:
        """Names that `cpu_model` may have."""

    @classmethod
    @abc.abstractmethod
    def describe_model(cls, cpu_model: str) -> ModelInfo:
        """What a CPU of this model (with chosen features, as for `create_vm`) is here. Raises AcceleratorError."""

    @abc.abstractmethod
    def __init__(self, options: dict[str, str] | None = None) -> None:
        """`options`: what followed the name on the command line. Raises AcceleratorError for one it does not know."""

    @abc.abstractmethod
    def create_vm(
        self,
        memory: MemorySpace,
        ports: PortSpace,
        lock: threading.RLock,
        cpu_model: str | None = None,
        topology: Topology = ONE_CPU,
    ) -> Vm:
        """A new machine over these address spaces; `lock` is the machine lock. Raises AcceleratorError.

        `cpu_model` is a model and chosen features as `varan.accel.cpuid.parse_model` reads them.
        """

    @property
    def synchronous_mmu(self) -> bool:
        """Whether guests follow when the host takes pages of their memory back."""
        return True

"""Machine types in the object tree: the properties of a machine as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from varan.core.properties import Property
from varan.core.qom import Object

if TYPE_CHECKING:
    from varan.machine.machine import Machine


class MachineObject(Object):
    """`/machine`. What it shows is the machine's own."""

    type_name = "machine"
    names: ClassVar[tuple[str, ...]] = ()
    """What the command line calls it, its own name first."""
    is_default: ClassVar[bool] = False
    most_cpus: ClassVar[int] = 1
    has_cpus: ClassVar[bool] = False
    properties: ClassVar[tuple[Property, ...]] = (
        Property("kernel", "string", "Linux kernel image file", read=lambda at: at.machine.spec.boot.kernel or ""),
        Property("initrd", "string", "Linux initial RAM disk file", read=lambda at: at.machine.spec.boot.initrd or ""),
        Property("append", "string", "Linux kernel command line", read=lambda at: at.machine.spec.boot.append),
        Property("firmware", "string", "firmware image", read=lambda at: at.machine.spec.boot.firmware or ""),
        Property("boot", "BootConfiguration", "what firmware is told to boot from", read=lambda at: at.boot_order),
        Property("memory", "MemorySizeConfiguration", "bytes of memory", read=lambda at: at.memory),
        Property("memory-backend", "link<memory-backend>", "where its memory is from", read=lambda at: at.memory_path),
        Property("smp", "SMPConfiguration", "number and arrangement of the CPUs", read=lambda at: at.smp),
        Property("accel", "string", "what runs the CPUs", read=lambda at: at.accel),
    )

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @property
    def memory(self) -> dict[str, int]:
        """As the protocol's MemorySizeConfiguration."""
        return {"size": self.machine.spec.memory}

    @property
    def memory_path(self) -> str:
        """Where the object is that the memory is from, empty without one."""
        backend = self.machine.memory_backend
        return backend.path if backend is not None else ""

    @property
    def boot_order(self) -> dict[str, Any]:
        """As the protocol's BootConfiguration."""
        order = self.machine.spec.boot_order
        shown = {
            "order": order.order,
            "once": order.once,
            "reboot-timeout": order.retry_milliseconds,
            "menu": order.menu,
            "splash-time": order.menu_milliseconds,
            "strict": order.strict or None,
        }
        return {name: value for name, value in shown.items() if value is not None}

    @property
    def smp(self) -> dict[str, int]:
        """As the protocol's SMPConfiguration."""
        spec = self.machine.spec
        topology = spec.arrangement
        return {
            "cpus": spec.cpus,
            "sockets": topology.sockets,
            "dies": 1,
            "clusters": 1,
            "cores": topology.cores,
            "threads": topology.threads,
            "maxcpus": spec.cpus,
        }

    @property
    def accel(self) -> str:
        """The accelerator's name, empty without one."""
        chosen = self.machine.accelerator
        return chosen.name if chosen is not None else ""


class PcMachine(MachineObject):
    """A PC."""

    type_name = "pc-i440fx-7.0-machine"
    abstract = False
    description = "a PC with ISA devices: serial ports, timers, CMOS clock, keyboard controller"
    names = ("pc-i440fx-7.0", "pc")
    is_default = True
    most_cpus = 255
    has_cpus = True
    properties = (
        Property("rtc-time", "struct tm", "what the clock shows", read=lambda at: at.rtc_time),
        Property("max-ram-below-4g", "size", "memory that may lie below 4 GiB", read=lambda at: at.low_memory_limit),
    )

    @property
    def rtc_time(self) -> Any:
        """What the clock's object tells."""
        board: Any = self.machine.board
        return board.rtc_object.date

    @property
    def low_memory_limit(self) -> int:
        """In bytes."""
        from varan.board.pc import LOW_MEMORY_LIMIT

        return LOW_MEMORY_LIMIT


class NoneMachine(MachineObject):
    """No board at all."""

    type_name = "none-machine"
    abstract = False
    description = "no board at all, for asking what this program can do"
    names = ("none",)


TYPES: tuple[type[MachineObject], ...] = (PcMachine, NoneMachine)


def find(name: str) -> type[MachineObject] | None:
    """The machine type with this name or alias."""
    return next((cls for cls in TYPES if name in cls.names), None)

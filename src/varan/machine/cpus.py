"""The CPUs in the object tree."""

from __future__ import annotations

import functools

from varan.core.properties import Property
from varan.devices.pluggable import PluggableDevice
from varan.machine.vcpus import VcpuHandle

DEFAULT_CPU = "max"
"""The model of CPUs where nobody chose."""


class Cpu(PluggableDevice):
    """Any CPU."""

    type_name = "cpu"
    user_creatable = False
    hotpluggable = False


class X86Cpu(Cpu):
    """One x86 CPU: where it sits, and what it is doing."""

    type_name = "x86_64-cpu"
    properties = (
        Property("apic-id", "uint32", "the number of its local APIC", read=lambda cpu: cpu.index),
        Property("socket-id", "int32", "its socket", read=lambda cpu: cpu.place[0]),
        Property("die-id", "int32", "its die within the socket", read=lambda cpu: 0),
        Property("core-id", "int32", "its core within the die", read=lambda cpu: cpu.place[1]),
        Property("thread-id", "int32", "its thread within the core", read=lambda cpu: cpu.place[2]),
        Property("pc", "uint64", "linear address of the next instruction", read=lambda cpu: cpu.ask_pc()),
        Property("halted", "bool", "whether it waits for an interrupt", read=lambda cpu: cpu.ask_halted()),
    )

    def __init__(self, index: int, place: tuple[int, int, int]) -> None:
        """`place`: socket, core, thread."""
        super().__init__()
        self.index = index
        self.place = place
        self.vcpu: VcpuHandle
        self.realized = True

    async def ask_pc(self) -> int:
        """The linear instruction pointer."""
        return (await self.vcpu.glance()).pc

    async def ask_halted(self) -> bool:
        """Whether it sits in HLT or waits for its start."""
        return (await self.vcpu.glance()).halted


@functools.cache
def cpu_type(model: str) -> type[X86Cpu]:
    """The type of CPUs of `model`."""
    return type("ModelCpu", (X86Cpu,), {"type_name": f"{model}-x86_64-cpu", "abstract": False, "__doc__": model})

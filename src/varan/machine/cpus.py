"""The CPUs in the object tree."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from varan.accel import cpuid
from varan.accel.base import Topology
from varan.accel.cpuid import Cpuid
from varan.core.properties import Property
from varan.devices.pluggable import PluggableDevice
from varan.machine.vcpus import VcpuHandle

_IDENTITY = {
    "family": "int",
    "model": "int",
    "stepping": "int",
    "vendor": "string",
    "model-id": "string",
    "level": "uint32",
    "xlevel": "uint32",
}


class Cpu(PluggableDevice):
    """Any CPU."""

    type_name = "cpu"
    user_creatable = False
    hotpluggable = False


def _has(feature: str) -> Callable[[X86Cpu], Any]:
    return lambda cpu: cpu.ask_feature(feature)


def _is(name: str) -> Callable[[X86Cpu], Any]:
    return lambda cpu: cpu.ask_identity(name)


class X86Cpu(Cpu):
    """One x86 CPU: where it sits, what it is doing, and what CPUID tells its guest."""

    type_name = "x86_64-cpu"
    properties = (
        Property("apic-id", "uint32", "the number of its local APIC", read=lambda cpu: cpu.apic_id),
        Property("socket-id", "int32", "its socket", read=lambda cpu: cpu.place[0]),
        Property("die-id", "int32", "its die within the socket", read=lambda cpu: 0),
        Property("core-id", "int32", "its core within the die", read=lambda cpu: cpu.place[1]),
        Property("thread-id", "int32", "its thread within the core", read=lambda cpu: cpu.place[2]),
        Property("pc", "uint64", "linear address of the next instruction", read=lambda cpu: cpu.ask_pc()),
        Property("halted", "bool", "whether it waits for an interrupt", read=lambda cpu: cpu.ask_halted()),
        *(Property(name, type, read=_is(name)) for name, type in _IDENTITY.items()),
        *(Property(name, "bool", read=_has(name)) for name in cpuid.FEATURES),
    )

    def __init__(self, index: int, topology: Topology) -> None:
        super().__init__()
        self.index = index
        self.place = topology.place(index)
        """Socket, core, thread."""
        self.apic_id = topology.apic_id(index)
        self.vcpu: VcpuHandle
        self.realized = True
        self._cpuid: Cpuid | None = None

    async def ask_pc(self) -> int:
        """The linear instruction pointer."""
        return (await self.vcpu.glance()).pc

    async def ask_halted(self) -> bool:
        """Whether it sits in HLT or waits for its start."""
        return (await self.vcpu.glance()).halted

    async def ask_feature(self, name: str) -> bool:
        """Whether its guest may use the feature."""
        return cpuid.has(await self._ask_cpuid(), cpuid.FEATURES[name])

    async def ask_identity(self, name: str) -> Any:
        """A member of `cpuid.identity`."""
        return cpuid.identity(await self._ask_cpuid())[name]

    async def _ask_cpuid(self) -> Cpuid:
        """What does not change while it lives is asked once."""
        if self._cpuid is None:
            self._cpuid = await self.vcpu.call(lambda vcpu: cpuid.snapshot(vcpu.cpuid))
        return self._cpuid


@functools.cache
def cpu_type(model: str) -> type[X86Cpu]:
    """The type of CPUs of `model`."""
    return type("ModelCpu", (X86Cpu,), {"type_name": f"{model}-x86_64-cpu", "abstract": False, "__doc__": model})

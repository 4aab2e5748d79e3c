"""The accelerator `unicorn` (alias `tcg`): guests run by translation, on any host."""

from __future__ import annotations

import threading
from typing import ClassVar

from varan.accel import cpuid
from varan.accel.base import ONE_CPU, Accelerator, AcceleratorError, Availability, Topology
from varan.accel.cpuid import ModelInfo
from varan.accel.unicorn import features, library, machinecode, models
from varan.accel.unicorn.vm import Settings, UnicornVm
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace

_BUFFER_MIB = 256
_OPTIONS = ("delivery", "tb-size", "tlb-stub", "thread")


class UnicornAccelerator(Accelerator):
    """See `Accelerator`."""

    name: ClassVar[str] = "unicorn"
    aliases: ClassVar[tuple[str, ...]] = ("tcg",)
    description: ClassVar[str] = "embedded CPU engine: translates guest code, needs nothing from the host"

    @classmethod
    def availability(cls) -> Availability:
        if library.find() is None:
            return Availability(False, False, "the unicorn package is not installed")
        return Availability(True, True, "runs guests by translation on any host")

    @classmethod
    def cpu_models(cls) -> list[str]:
        return models.names()

    @classmethod
    def describe_model(cls, cpu_model: str) -> ModelInfo:
        return features.describe(library.load(), cpuid.parse_model(cpu_model))

    def __init__(self, options: dict[str, str] | None = None) -> None:
        given = options or {}
        for name in given:
            if name not in _OPTIONS:
                raise AcceleratorError(f"accelerator unicorn has no option '{name}': known are {', '.join(_OPTIONS)}")
        if given.get("thread", "single") != "single":
            raise AcceleratorError("accelerator unicorn runs all vCPUs on one thread: thread=single is all there is")
        default = "native" if machinecode.available() else "python"
        self.delivery = _choice(given, "delivery", default, ("native", "python"))
        self.tlb_stub = _choice(given, "tlb-stub", "on" if default == "native" else "off", ("on", "off")) == "on"
        if default == "python" and (self.delivery == "native" or self.tlb_stub):
            raise AcceleratorError("accelerator unicorn: delivery=native and tlb-stub=on want an x86-64 Linux host")
        self.buffer_size = _mebibytes(given.get("tb-size", str(_BUFFER_MIB)))

    def create_vm(
        self,
        memory: MemorySpace,
        ports: PortSpace,
        lock: threading.RLock,
        cpu_model: str | None = None,
        topology: Topology = ONE_CPU,
    ) -> UnicornVm:
        choice, native = cpuid.parse_model(cpu_model or models.DEFAULT), self.delivery == "native"
        models.number(choice.model)
        settings = Settings(choice, self.buffer_size, native, self.tlb_stub, topology)
        return UnicornVm(library.load(), memory, ports, lock, settings)


def _choice(given: dict[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    value = given.get(name, default)
    if value not in choices:
        raise AcceleratorError(f"accelerator unicorn: {name} is {' or '.join(choices)}, not '{value}'")
    return value


def _mebibytes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise AcceleratorError(f"accelerator unicorn: tb-size is a number of MiB from 1 to 1024, not '{text}'")
    return int(text) << 20


ACCELERATOR = UnicornAccelerator

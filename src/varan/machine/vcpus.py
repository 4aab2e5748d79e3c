"""vCPUs as the control plane sees them: every question is put to the thread that runs the vCPU."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from varan.accel.base import Vcpu
from varan.accel.executor import VcpuThread
from varan.accel.state import CpuState
from varan.core.memory import PAGE_SIZE, MemorySpace

T = TypeVar("T")


class Glance(NamedTuple):
    """What a look at a vCPU shows: its linear instruction pointer, and whether it is halted."""

    pc: int
    halted: bool


class VcpuHandle:
    """One vCPU of a machine. The coroutines let the guest run on as soon as they have their answer."""

    def __init__(self, thread: VcpuThread, vcpu: Vcpu, memory: MemorySpace) -> None:
        self._thread = thread
        self._vcpu = vcpu
        self._memory = memory
        self.index = vcpu.index

    @property
    def thread_id(self) -> int:
        """The host thread that runs this vCPU."""
        return self._thread.thread_id

    async def call(self, work: Callable[[Vcpu], T]) -> T:
        """Run `work` on the vCPU's own thread, between two stretches of guest code."""
        return await asyncio.wrap_future(self._thread.call(lambda: work(self._vcpu)))

    async def glance(self) -> Glance:
        """Program counter and halted, taken at one moment."""
        return await self.call(lambda vcpu: Glance(vcpu.pc, vcpu.halted))

    async def get_state(self) -> CpuState:
        """A copy of the whole state."""
        return await self.call(lambda vcpu: vcpu.get_state())

    async def reset(self, state: CpuState | None = None) -> None:
        """Put it into reset state, or into `state` by way of it."""

        def work(vcpu: Vcpu) -> None:
            vcpu.reset()
            if state is not None:
                vcpu.set_state(state)

        await self.call(work)

    async def set_state(self, state: CpuState) -> None:
        """Replace the whole state."""
        await self.call(lambda vcpu: vcpu.set_state(state))

    async def translate(self, virtual: int) -> int | None:
        """The physical address behind a virtual one, None where nothing is mapped."""
        return await self.call(lambda vcpu: vcpu.translate(virtual))

    async def translate_range(self, virtual: int, length: int) -> list[tuple[int | None, int]]:
        """`length` bytes from `virtual` as runs (physical address or None where nothing is mapped, bytes)."""
        return await self.call(lambda vcpu: _translate_range(vcpu, virtual, length))

    async def read_virtual(self, virtual: int, length: int) -> bytes:
        """Guest memory at a virtual address. Raises LookupError naming the first address that is not mapped."""
        parts: list[bytes] = []
        for physical, count in await self.translate_range(virtual, length):
            if physical is None:
                raise LookupError(f"virtual address {virtual:#x} is not mapped on CPU {self.index}")
            parts.append(self._memory.read_bytes(physical, count))
            virtual += count
        return b"".join(parts)


def _translate_range(vcpu: Vcpu, virtual: int, length: int) -> list[tuple[int | None, int]]:
    runs: list[tuple[int | None, int]] = []
    end = virtual + length
    while virtual < end:
        count = min(PAGE_SIZE - virtual % PAGE_SIZE, end - virtual)
        physical = vcpu.translate(virtual)
        if runs:
            start, so_far = runs[-1]
            adjacent = physical is None if start is None else physical == start + so_far
            if adjacent:
                runs[-1] = (start, so_far + count)
                virtual += count
                continue
        runs.append((physical, count))
        virtual += count
    return runs

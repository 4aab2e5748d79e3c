"""Whole machines whose unmodified kernel runs a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.support.initrd import make_initrd
from tests.support.kernel import need_busybox, need_kernel
from varan.api.events import Event
from varan.embed.local import EventListener
from varan.embed.vm import Machine

APPEND = "console=ttyS0 panic=-1 quiet no_timer_check"
"""Without the check a kernel takes its timer for broken when a busy host keeps its CPU waiting for some 50 ms."""
PATIENCE = 60
"""Seconds within which a guest does anything."""
LISTEN = "until read -r line <&3; do sleep 0.1; done"
"""Takes a line from the virtio port that descriptor 3 is: a read is at its end at once until the host has connected."""

E = TypeVar("E", bound=Event)


@asynccontextmanager
async def linux(
    folder: Path, script: str, modules: Sequence[str] = (), **machine: Any
) -> AsyncIterator[tuple[Machine, EventListener]]:
    """A running machine whose kernel runs `script`, and its events. `machine`: further arguments of `Machine`."""
    initrd = folder / "initrd"
    initrd.write_bytes(make_initrd(script, need_busybox(), modules=modules))
    whole = {"append": APPEND, "memory": "256M", "accel": "unicorn", **machine}
    async with (
        Machine(kernel=need_kernel(), initrd=initrd, **whole) as vm,
        vm.qmp.listen() as listener,
    ):
        await vm.start()
        yield vm, listener


async def until(listener: EventListener, kind: type[E]) -> E:
    """The next event of a kind."""
    async with asyncio.timeout(PATIENCE):
        async for event in listener:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"the machine ended without {kind.__name__}")

"""The lock that needs no event loop until somebody has to wait."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from varan.block.drive import run_now
from varan.block.lazy import Lock


async def hold(lock: Lock, name: str, order: list[str]) -> None:
    async with lock:
        order.append(name)
        await asyncio.sleep(0)


def test_an_uncontended_lock_needs_no_loop() -> None:
    lock = Lock()
    run_now(lock.acquire())
    assert lock.locked()
    lock.release()
    assert not lock.locked()


async def test_waiters_are_served_in_order_and_one_at_a_time() -> None:
    lock, order = Lock(), list[str]()
    await asyncio.gather(*(hold(lock, name, order) for name in "abc"))
    assert order == ["a", "b", "c"]
    assert not lock.locked()


async def test_a_cancelled_waiter_leaves_the_lock_to_the_next() -> None:
    lock, order = Lock(), list[str]()
    await lock.acquire()
    first, second = (asyncio.create_task(hold(lock, name, order)) for name in "ab")
    await asyncio.sleep(0)
    lock.release()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert order == ["b"]
    assert not lock.locked()


def test_releasing_what_is_not_held_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        Lock().release()


def test_describing_an_image_loads_no_event_loop(tmp_path: object) -> None:
    code = (
        "import sys; from varan.cli.img.main import main; "
        f"main(['create', '-q', '-f', 'qcow2', '{tmp_path}/a', '1M']); main(['info', '{tmp_path}/a']); "
        "sys.exit('asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == 0, done.stderr

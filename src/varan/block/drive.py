"""Drive a coroutine by hand where no loop runs, or where starting one would cost more than the request."""

from __future__ import annotations

import types

from varan.block.lazy import asyncio
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from typing import Any, TypeVar

    T = TypeVar("T")


class WouldSuspendError(RuntimeError):
    """The coroutine waited for something that only an event loop can deliver."""


def run_now(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends. Raises WouldSuspendError when it does."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise WouldSuspendError(f"{coroutine!r} has to wait: it needs an event loop")


def start(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T] | None:
    """Run a coroutine on the spot as far as it gets; what has to wait goes on as a task of the running loop.

    None: it is over already, and has returned. What it raises until then is raised here. Until it first waits there is
    no current task.
    """
    try:
        waiting = coroutine.send(None)
    except StopIteration:
        return None
    return asyncio.get_running_loop().create_task(_go_on(coroutine, waiting))


@types.coroutine
def _go_on(coroutine: Coroutine[Any, Any, T], waiting: Any) -> Generator[Any, Any, T]:
    while True:
        try:
            try:
                value = yield waiting
            except BaseException as error:
                # The error's traceback keeps this frame: were the future that has the error still in it, the two would
                # keep each other, and the guest memory that a request works on.
                waiting = None
                waiting = coroutine.throw(error)
            else:
                waiting = coroutine.send(value)
        except StopIteration as done:
            result: T = done.value
            return result

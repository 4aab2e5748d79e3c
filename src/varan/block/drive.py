"""Drive a coroutine by hand where no loop runs, or where starting one would cost more than the request."""

from __future__ import annotations

from collections.abc import Coroutine
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

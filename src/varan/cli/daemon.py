"""Going into the background: the child detaches, and tells its parent through a pipe when others can reach it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from varan.errors import VaranError

_READY = b"\0"
_UMASK = 0o027

Serve = Callable[[Callable[[], None]], int]
"""Does the daemon's work and returns its exit status; calls its argument when it is ready to be used."""


def detach(serve: Serve) -> int:
    """Run `serve` in a process of its own session, without a terminal. Call before there are threads.

    Returns twice: in the parent 0 as soon as the daemon is ready; in the daemon what `serve` returned. Raises
    VaranError in the parent, with the daemon's message, when it ended before it was ready.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        os.close(writer)
        os.waitpid(child, 0)
        return _await_ready(reader)
    os.close(reader)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.umask(_UMASK)
    return _serve(serve, writer)


def _await_ready(reader: int) -> int:
    with os.fdopen(reader, "rb") as pipe:
        message = pipe.read()
    if message == _READY:
        return 0
    raise VaranError(message.decode(errors="replace") or "the background process ended before it was ready")


def _serve(serve: Serve, writer: int) -> int:
    is_ready = False

    def ready() -> None:
        nonlocal is_ready
        is_ready = True
        _detach_standard_streams()
        os.write(writer, _READY)
        os.close(writer)

    try:
        return serve(ready)
    except VaranError as error:
        if is_ready:
            raise
        os.write(writer, str(error).encode())
        os.close(writer)
        return 1


def fill_standard_streams() -> None:
    """Open the null device for each of descriptors 0 to 2 that is closed, lest a file of ours becomes one of them."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _detach_standard_streams() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)

"""The signal that gets a thread out of KVM_RUN.

The handler is a function of the C library that does nothing, installed directly: a Python handler would wake the main
thread instead. Signal handlers belong to the process, so this is installed once and stays.
"""

from __future__ import annotations

import ctypes
import functools
import signal
import threading

from varan.accel.base import AcceleratorError

SIGNAL = signal.SIGRTMIN + 3


class _SigAction(ctypes.Structure):
    """glibc's `struct sigaction` on x86-64."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ulong * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


@functools.cache
def install() -> None:
    """Make `SIGNAL` interrupt system calls and do nothing else."""
    libc = ctypes.CDLL(None, use_errno=True)
    action = _SigAction()
    action.handler = ctypes.cast(libc.getpid, ctypes.c_void_p).value
    if libc.sigaction(int(SIGNAL), ctypes.byref(action), None) != 0:
        raise AcceleratorError(f"could not install the handler of signal {int(SIGNAL)}")


def send(thread: int) -> None:
    """Interrupt the thread with this identifier (`threading.get_ident`); nothing when it is the caller's."""
    if thread != threading.get_ident():
        signal.pthread_kill(thread, SIGNAL)

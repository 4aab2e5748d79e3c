"""Keeping a new engine small.

The library's buffer for translated code asks for huge pages. The first few bytes that an engine writes there would
cost 2 MiB, and several milliseconds to clear it, before its guest has run anything.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
from collections.abc import Iterator

_PR_SET_THP_DISABLE = 41
_PR_GET_THP_DISABLE = 42


@functools.cache
def _prctl() -> ctypes._NamedFuncPointer | None:
    return ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@contextlib.contextmanager
def small_pages() -> Iterator[None]:
    """Memory that is touched for the first time inside comes in small pages (in all threads, which harms nobody)."""
    prctl = _prctl()
    if prctl is None or prctl(_PR_GET_THP_DISABLE, 0, 0, 0, 0):
        yield
        return
    prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_THP_DISABLE, 0, 0, 0, 0)

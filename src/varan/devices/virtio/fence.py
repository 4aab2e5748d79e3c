"""A memory barrier against vCPUs on other threads."""

from __future__ import annotations

import threading

_LOCK = threading.Lock()


def fence() -> None:
    """What was written before is seen by vCPUs before anything is read after.

    Taking an uncontended lock is an atomic read-modify-write, which is a full barrier; and so cheap that a lock that
    all share does not matter: it is held for no time, and by who has the GIL.
    """
    with _LOCK:
        pass

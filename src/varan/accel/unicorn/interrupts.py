"""The INTR input of a vCPU.

The vector is offered to the CPU before the guest is ready for it, and the guest takes it without asking anybody. That
it did shows in the offer being gone; only then is the controller's acknowledge cycle run, before anyone looks at the
controller again (`settle`). A thread other than the vCPU's takes the offer back first, in one atomic step, so that the
acknowledged vector is always the one that the guest took.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from varan.accel.unicorn.machinecode import OFFERED
from varan.accel.unicorn.signals import Signals
from varan.core.irq import InterruptController


class InterruptPin:
    """See the module's text. Callers of everything hold the machine lock.

    `wake` is called when another thread has changed what the vCPU must look at.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._signals: Signals | None = None
        self._controller: InterruptController | None = None
        self._offered: int | None = None
        self._acknowledged: int | None = None
        self._stale = True
        self.owner: int | None = None
        """The thread that runs the vCPU."""
        self.running = False
        """Whether it runs guest code now."""

    def connect(self, controller: InterruptController) -> None:
        """Take vectors from `controller`."""
        self._controller = controller
        self._stale = True

    def attach(self, signals: Signals) -> None:
        """Offer vectors through `signals`."""
        self._signals = signals
        self._stale = True

    def settle(self) -> None:
        signals = self._signals
        if self._offered is None or signals is None:
            return
        if not self.running or self.owner == threading.get_ident():
            if not signals.offer:
                self._taken()
        elif signals.exchange_offer(0):
            self._offered = None
            self._stale = True
            self._wake()
        else:
            self._taken()

    def _taken(self) -> None:
        self._offered = None
        if self._acknowledged is not None:
            self._acknowledged = None
        elif self._controller is not None:
            self._controller.acknowledge()
        self.changed()

    def changed(self) -> None:
        signals = self._signals
        if self._offered is not None:
            self.settle()
        vector = self._acknowledged
        if vector is None and self._controller is not None:
            vector = self._controller.peek()
        self._stale = False
        if vector is None and self._offered is None:
            return
        remote = self.owner != threading.get_ident()
        if signals is not None and vector != self._offered:
            self._offered = vector
            signals.exchange_offer(0 if vector is None else OFFERED | vector)
            if vector is not None:
                signals.ring()
        if vector is not None and remote:
            self._wake()

    def refresh(self) -> None:
        """Settle, and offer what there is to offer. The vCPU's thread, no guest code running."""
        self.settle()
        if self._stale:
            self.changed()

    def pending(self) -> bool:
        """Whether a vector is offered and not taken."""
        self.refresh()
        return self._offered is not None

    def withdraw(self) -> int | None:
        """Before state is saved or replaced: settle, and give the vector that only the CPU still knows of."""
        self.settle()
        vector, self._acknowledged = self._acknowledged, None
        self._offered = None
        self._stale = True
        if self._signals is not None:
            self._signals.exchange_offer(0)
        return vector

    def restore(self, vector: int | None) -> None:
        """Offer `vector`, which the controller has acknowledged already, before any other."""
        self._acknowledged = vector
        self._stale = True

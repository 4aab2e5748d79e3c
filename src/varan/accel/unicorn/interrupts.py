"""The INTR input of a vCPU.

The vector is offered to the CPU before the guest is ready for it, and the guest takes it without asking anybody. That
it did shows in the offer being gone; only then is the controller's acknowledge cycle run, before anyone looks at the
controller again (`settle`). A thread other than the vCPU's takes the offer back first, in one atomic step, so that the
acknowledged vector is always the one that the guest took.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from varan.accel.startup import Startup
from varan.accel.unicorn.layout import Env
from varan.accel.unicorn.machinecode import OFFERED
from varan.accel.unicorn.signals import Signals
from varan.core.irq import PRIORITIZED, InterruptController


class Turn:
    """Whose turn it is among the vCPUs of one thread."""

    running = False
    """Whether one of them runs guest code now."""


class InterruptPin:
    """See the module's text. Callers of everything hold the machine lock.

    `wake` is called when another thread has changed what the vCPU must look at.
    """

    def __init__(self, wake: Callable[[], None], turn: Turn) -> None:
        self._wake = wake
        self._turn = turn
        self.signalled = Startup()
        """INIT and SIPI that the vCPU has not obeyed."""
        self._env: Env | None = None
        self._early_nmi = False
        """An NMI that came before there was an engine."""
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

    def attach(self, signals: Signals, env: Env) -> None:
        """Offer vectors through `signals`; `env` has the task priority."""
        self._signals, self._env = signals, env
        self._stale = True
        if self._early_nmi:
            self._early_nmi, signals.nmi = False, 1

    def detach(self) -> None:
        """The engine goes."""
        self._signals = self._env = None
        self._offered = None
        self._stale = True

    def settle(self) -> None:
        signals = self._signals
        if self._offered is None or signals is None:
            return
        if not self.running or self.owner == threading.get_ident():
            if not signals.offer:
                self._acknowledge()
                self.changed()
            return
        # The guest runs meanwhile. Nothing is left on offer, not even what comes next, while the controller changes:
        # the vector that is acknowledged would be another one than the guest took.
        if signals.exchange_offer(0):
            self._offered = None
        else:
            self._acknowledge()
        self._stale = True
        self._wake()

    def _acknowledge(self) -> None:
        """The guest has taken the offer."""
        self._offered = None
        if self._acknowledged is not None:
            self._acknowledged = None
        elif self._controller is not None:
            self._controller.acknowledge()

    def changed(self) -> None:
        if self._offer() is not None:
            here = self.owner == threading.get_ident()
            if not here or (self._turn.running and not self.running):
                self._wake()

    def _offer(self) -> int | None:
        """Bring the offer up to date; what there is to take."""
        signals = self._signals
        if self._offered is not None:
            self.settle()
        vector = self._acknowledged
        if vector is None and self._controller is not None:
            vector = self._controller.peek()
        self._stale = False
        if vector is None and self._offered is None:
            return None
        if signals is not None and vector != self._offered:
            self._offered = vector
            signals.exchange_offer(0 if vector is None else OFFERED | vector)
            if vector is not None:
                signals.ring()
        return vector

    def refresh(self) -> None:
        """Settle, and offer what there is to offer. The vCPU's thread, no guest code running."""
        self.settle()
        if self._stale:
            self._offer()

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

    def takes_offer(self) -> bool:
        """Whether the task priority lets the offered vector pass."""
        offered, env = self._offered, self._env
        if offered is None or env is None:
            return False
        return not offered & PRIORITIZED or offered >> 4 & 15 > env.task_priority

    def task_priority(self) -> int:
        env = self._env
        return 0 if env is None else int(env.task_priority)

    def set_task_priority(self, value: int) -> None:
        if self._env is not None:
            self._env.task_priority = value

    def nmi(self) -> None:
        signals = self._signals
        if signals is None:
            self._early_nmi = True
        else:
            signals.nmi = 1
            signals.ring()
        self._wake()

    def forget_nmi(self) -> None:
        """The vCPU has been reset."""
        self._early_nmi = False
        if self._signals is not None:
            self._signals.nmi = 0

    def init(self) -> None:
        self.signalled.init()
        self._wake()

    def startup(self, vector: int) -> None:
        self.signalled.startup(vector)
        self._wake()

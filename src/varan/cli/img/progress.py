"""The line that says how far a long operation is: on the terminal, over and over in place."""

from __future__ import annotations

import sys
import time

from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from types import FrameType, TracebackType
    from typing import Self
else:
    # What the module of that name adds are enumerations of the signals, which take milliseconds to make.
    import _signal as signal

_INTERVAL = 0.1
_BAR = 30


class Progress:
    """Shows the share that is done when `shown`; prints it once on SIGUSR1 in any case."""

    def __init__(self, shown: bool, *, interval: float = _INTERVAL) -> None:
        self._shown = shown
        self._terminal = sys.stdout.isatty()
        self._interval = interval
        self._next = 0.0
        self._share = 0.0

    def __enter__(self) -> Self:
        if hasattr(signal, "SIGUSR1"):
            signal.signal(signal.SIGUSR1, self._on_signal)
        self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._share = 1.0
            self._draw()
        if self._shown:
            print(flush=True)

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` bytes are done."""
        self._share = done / total if total else 1.0
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._interval
            self._draw()

    def _draw(self) -> None:
        if self._shown:
            print(self._line(), end="\r", flush=True)

    def _line(self) -> str:
        percent = f"    ({self._share * 100:.2f}/100%)"
        if not self._terminal:
            return percent
        filled = int(self._share * _BAR)
        return f"{percent} [{'#' * filled}{' ' * (_BAR - filled)}]"

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        print(self._line(), flush=True)

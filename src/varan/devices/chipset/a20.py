"""The A20 gate of a PC: address line 20 passes when the keyboard controller or port 92h lets it."""

from __future__ import annotations

from collections.abc import Callable


class A20Gate:
    """Joins the two switches. What they are set to is their devices' state; the gate has none.

    The accelerators do not wrap addresses at 1 MiB: a guest that closes the gate sees it closed in the registers only.
    """

    def __init__(self) -> None:
        self._open: list[bool] = []

    @property
    def enabled(self) -> bool:
        """Whether address line 20 passes."""
        return any(self._open)

    def switch(self) -> Callable[[bool], None]:
        """A further switch, open at first."""
        index = len(self._open)
        self._open.append(True)

        def set_open(passes: bool) -> None:
            self._open[index] = passes

        return set_open

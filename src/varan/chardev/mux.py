"""One chardev shared by several frontends: all write, one at a time has the keyboard.

The escape key (Ctrl-A) chooses who. It works even while the one that has the keyboard takes no input, as a hung guest
does not: input for it waits in a buffer of its own meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from varan.chardev.base import BreakReceiver, Chardev, ChardevError, FocusListener, Frontend, Pipe
from varan.chardev.escape import EscapeParser, Key, LineStamper, help_text

INPUT_LIMIT = 4096
"""Bytes kept for a frontend that takes none, before the chardev is told to pause."""

MAX_FRONTENDS = 16


class Mux(Chardev):
    """Stands in for the chardev it shares, under the same id.

    The frontend attached first has the keyboard first. One attached by `attach_each` (a monitor) comes after those
    attached by `attach`, and is made and opened when it gets the keyboard for the first time, so that its greeting
    does not appear amid a guest's output.
    """

    def __init__(
        self,
        chardev: Chardev,
        *,
        on_exit: Callable[[], None] | None = None,
        on_save: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_exit` and `on_save` are called for the keys x and s. `clock` gives seconds, for time stamps."""
        super().__init__(chardev.id)
        self.base = chardev
        """The chardev that is shared; query-chardev lists it as ID-base."""
        self._actions = {Key.EXIT: on_exit, Key.SAVE: on_save}
        self._clock = clock
        self._seats: list[_Seat] = []
        self._focus = 0
        self._pipe: Pipe | None = None
        self._parser = EscapeParser()
        self._stamper: LineStamper | None = None
        self._stamps_from = 0.0
        self._backlog = bytearray()
        chardev.attach(_Shared(self))

    @property
    def filename(self) -> str:
        return "mux"

    @property
    def frontend_open(self) -> bool:
        return bool(self._seats)

    async def open(self) -> None:
        await self.base.open()

    async def close(self) -> None:
        await self.base.close()

    def attach(self, frontend: Frontend) -> None:
        """Add a frontend. Raises ChardevError when there are MAX_FRONTENDS."""
        self._add(_Seat(self, lambda: frontend, lazy=False, owner=frontend))

    def detach(self, frontend: Frontend) -> None:
        index = next((index for index, seat in enumerate(self._seats) if seat.owner is frontend), None)
        if index is None:
            return
        del self._seats[index]
        had_keyboard = index == self._focus
        if index < self._focus or self._focus == len(self._seats):
            self._focus = max(self._focus - 1, 0)
        if had_keyboard and self._seats:
            self._seats[self._focus].focus()
        self._update_flow()

    def attach_each(self, factory: Callable[[], Frontend]) -> None:
        """Add a frontend that is made when it first gets the keyboard. Raises ChardevError as `attach` does."""
        self._add(_Seat(self, factory, lazy=True))

    def discard(self, data: bytes | bytearray | memoryview) -> None:
        self.base.discard(data)

    @property
    def focused(self) -> Frontend | None:
        """Who has the keyboard."""
        return self._seats[self._focus].frontend if self._seats else None

    def focus_next(self) -> None:
        """Give the keyboard to the next frontend."""
        if not self._seats:
            return
        self._focus = (self._focus + 1) % len(self._seats)
        self._seats[self._focus].focus()
        self._update_flow()

    def _add(self, seat: _Seat) -> None:
        if len(self._seats) >= MAX_FRONTENDS:
            raise ChardevError(f"chardev '{self.id}': no more than {MAX_FRONTENDS} users can share it")
        self._seats.append(seat)
        if not seat.lazy and self._seats[self._focus].is_waiting:
            self._focus = len(self._seats) - 1
        if self._pipe is not None:
            self._open_seat(seat)
            self._update_flow()

    def _open_seat(self, seat: _Seat) -> None:
        if not seat.lazy or seat is self._seats[self._focus]:
            seat.open()

    def _opened(self, pipe: Pipe) -> None:
        self._pipe = pipe
        for seat in list(self._seats):
            self._open_seat(seat)
        self._update_flow()

    def _closed(self) -> None:
        self._pipe = None
        self._backlog.clear()
        self._parser = EscapeParser()
        for seat in list(self._seats):
            seat.shut()

    def _receive(self, data: bytes) -> None:
        for item in self._parser.feed(data):
            if isinstance(item, Key):
                self._press(item)
            elif self._seats:
                self._seats[self._focus].receive(item)
        self._update_flow()

    def _press(self, key: Key) -> None:
        if key is Key.NEXT:
            self.focus_next()
        elif key is Key.HELP:
            without_action = {key for key, action in self._actions.items() if action is None}
            self._write(help_text(frozenset(set(Key) - without_action)))
        elif key is Key.TIMESTAMPS:
            self._stamper = None if self._stamper else LineStamper()
            self._stamps_from = self._clock()
        elif key is Key.BREAK:
            frontend = self.focused
            if isinstance(frontend, BreakReceiver):
                frontend.receive_break()
        elif (action := self._actions[key]) is not None:
            if key is Key.EXIT:
                self._write(b"\r\nvaran: terminated\r\n")
            action()

    def _update_flow(self) -> None:
        if self._pipe is None:
            return
        if not self._seats or self._seats[self._focus].is_full:
            self._pipe.pause_input()
        else:
            self._pipe.resume_input()

    def _write(self, data: bytes | bytearray | memoryview) -> int:
        if self._pipe is None:
            return len(data)
        if self._backlog:
            return 0
        if self._stamper is None:
            return self._pipe.write(data)
        milliseconds = int((self._clock() - self._stamps_from) * 1000)
        stamped = self._stamper.stamp(bytes(data), milliseconds)
        # Stamped bytes are not the frontend's: what the pipe does not take of them is ours to keep.
        self._backlog += stamped[self._pipe.write(stamped) :]
        return len(data)

    def _writable(self) -> None:
        if self._pipe is not None and self._backlog:
            del self._backlog[: self._pipe.write(bytes(self._backlog))]
        if not self._backlog:
            for seat in list(self._seats):
                seat.tell_writable()


class _Shared:
    """The one frontend that the shared chardev sees."""

    def __init__(self, mux: Mux) -> None:
        self.opened = mux._opened
        self.receive = mux._receive
        self.closed = mux._closed
        self.writable = mux._writable


class _Seat:
    """A frontend's place at a Mux, and its pipe."""

    def __init__(self, mux: Mux, factory: Callable[[], Frontend], *, lazy: bool, owner: Frontend | None = None) -> None:
        """`owner`: who may give the seat up again."""
        self._mux = mux
        self.owner = owner
        self._factory = factory
        self._open = False
        self._starved = False
        self._paused = False
        self._input = bytearray()
        self.lazy = lazy
        self.frontend: Frontend | None = None

    @property
    def is_full(self) -> bool:
        """Whether more input should not come for now."""
        return len(self._input) >= INPUT_LIMIT

    @property
    def is_waiting(self) -> bool:
        """Whether its frontend is still to be made."""
        return self.lazy and self.frontend is None

    def open(self) -> None:
        """Somebody is at the other end."""
        if not self._open:
            self._open = True
            self.frontend = self._factory()
            self.frontend.opened(self)

    def focus(self) -> None:
        """The keyboard is this seat's now."""
        if not self._open:
            if self._mux._pipe is not None:
                self.open()
        elif isinstance(self.frontend, FocusListener):
            self.frontend.focus_gained()

    def shut(self) -> None:
        """Nobody is at the other end any more."""
        if self._open and self.frontend is not None:
            self._open = False
            self._starved = False
            self._paused = False
            self._input.clear()
            self.frontend.closed()

    def receive(self, data: bytes) -> None:
        """Input for this seat."""
        if self._paused or self._input:
            self._input += data
        elif self.frontend is not None:
            self.frontend.receive(data)

    def tell_writable(self) -> None:
        """More is taken again."""
        if self._starved and self.frontend is not None:
            self._starved = False
            self.frontend.writable()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """See `Pipe.write`."""
        if not self._open:
            return len(data)
        taken = self._mux._write(data)
        self._starved = taken < len(data)
        return taken

    def close(self) -> None:
        """The connection is the others' too: it stays."""

    def pause_input(self) -> None:
        """See `Pipe.pause_input`."""
        self._paused = True

    def resume_input(self) -> None:
        """See `Pipe.resume_input`."""
        self._paused = False
        while self._input and not self._paused and self.frontend is not None:
            data = bytes(self._input)
            self._input.clear()
            self.frontend.receive(data)
        self._mux._update_flow()

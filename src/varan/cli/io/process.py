"""Commands that concern the process."""

from __future__ import annotations

import os
import signal

from varan.block.shell import words as w
from varan.block.shell.session import Command, Session


def _quit(session: Session, words: list[str]) -> None:
    session.finished = True


def _abort(session: Session, words: list[str]) -> None:
    os.abort()


def _sigraise(session: Session, words: list[str]) -> None:
    try:
        signal.raise_signal(int(words[0]))
    except (ValueError, OSError):
        raise w.CommandError(f"{words[0]} is not a signal") from None


COMMANDS = (
    Command("quit", "", "exit the program", _quit, 0, None, needs_image=False, aliases=("q",)),
    Command("abort", "", "simulate a program crash using abort(3)", _abort, needs_image=False),
    Command("sigraise", "signal", "raises a signal", _sigraise, 1, 1, needs_image=False),
)

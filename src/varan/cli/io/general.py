"""Commands that are not about the image."""

from __future__ import annotations

import os
import signal
import time

from varan.cli.io import words as w
from varan.cli.io.session import Command, Session


def _help(session: Session, words: list[str]) -> None:
    if not words:
        for line in sorted({command.line for command in session.commands.values()}):
            print(line)
        print("\nUse 'help commandname' for extended help.")
        return
    if words[0] not in session.commands:
        raise w.CommandError(f"command {words[0]} not found")
    command = session.commands[words[0]]
    print(command.line)
    if command.details:
        print(f"\n{command.details}\n")


def _quit(session: Session, words: list[str]) -> None:
    session.finished = True


def _sleep(session: Session, words: list[str]) -> None:
    try:
        seconds = int(words[0]) / 1000
    except ValueError:
        raise w.CommandError(f"{words[0]} is not a number of milliseconds") from None
    if seconds < 0:
        raise w.CommandError(f"{words[0]} is not a number of milliseconds")
    session.drive(_pause(session, seconds))


async def _pause(session: Session, seconds: float) -> None:
    """Sleep; with an event loop, requests go on meanwhile."""
    if not session.has_loop:
        time.sleep(seconds)
        return
    import asyncio

    await asyncio.sleep(seconds)


def _abort(session: Session, words: list[str]) -> None:
    os.abort()


def _sigraise(session: Session, words: list[str]) -> None:
    try:
        signal.raise_signal(int(words[0]))
    except (ValueError, OSError):
        raise w.CommandError(f"{words[0]} is not a signal") from None


COMMANDS = (
    Command("help", "[command]", "help for one or all commands", _help, 0, 1, needs_image=False, aliases=("?",)),
    Command("quit", "", "exit the program", _quit, 0, None, needs_image=False, aliases=("q",)),
    Command("sleep", "", "waits for the given value in milliseconds", _sleep, 1, 1, needs_image=False),
    Command("abort", "", "simulate a program crash using abort(3)", _abort, needs_image=False),
    Command("sigraise", "signal", "raises a signal", _sigraise, 1, 1, needs_image=False),
)

"""Commands that are not about the image."""

from __future__ import annotations

import time

from varan.block.shell import words as w
from varan.block.shell.session import Command, Session


def _help(session: Session, words: list[str]) -> None:
    if not words:
        for line in sorted({command.line for command in session.commands.values()}):
            session.say(line)
        session.say("\nUse 'help commandname' for extended help.")
        return
    if words[0] not in session.commands:
        raise w.CommandError(f"command {words[0]} not found")
    command = session.commands[words[0]]
    session.say(command.line)
    if command.details:
        session.say(f"\n{command.details}\n")


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


COMMANDS = (
    Command("help", "[command]", "help for one or all commands", _help, 0, 1, needs_image=False, aliases=("?",)),
    Command("sleep", "", "waits for the given value in milliseconds", _sleep, 1, 1, needs_image=False),
)

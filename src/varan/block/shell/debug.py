"""Commands for the `blkdebug` filter: requests are stopped at an event and go on when told to."""

from __future__ import annotations

from varan.block.base import BlockError
from varan.block.shell import words as w
from varan.block.shell.session import Command, Session, system_words
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def _blkdebug(session: Session, failure: str) -> Any:
    node = session.debug_node()
    if node is None:
        raise w.CommandError(f"{failure}: Operation not supported")
    return node


def _break(session: Session, words: list[str]) -> None:
    event, tag = words
    try:
        _blkdebug(session, "Could not set breakpoint").add_breakpoint(event, tag)
    except BlockError as error:
        raise w.CommandError("Could not set breakpoint: No such file or directory") from error
    session.breaks.append(tag)


def _remove_break(session: Session, words: list[str]) -> None:
    failure = f"Could not remove breakpoint {words[0]}"
    node = _blkdebug(session, failure)
    suspended = node.is_suspended(words[0])
    try:
        node.remove_breakpoint(words[0])
    except BlockError as error:
        raise w.CommandError(f"{failure}: {system_words(error)}") from error
    if words[0] in session.breaks:
        session.breaks.remove(words[0])
    if suspended:
        session.say(f"blkdebug: Resuming request '{words[0]}'")
    session.turn()


def _resume(session: Session, words: list[str]) -> None:
    try:
        _blkdebug(session, "Could not resume request").resume(words[0])
    except BlockError as error:
        raise w.CommandError(f"Could not resume request: {system_words(error)}") from error
    session.say(f"blkdebug: Resuming request '{words[0]}'")
    session.turn()


def _wait_break(session: Session, words: list[str]) -> None:
    node = _blkdebug(session, "Could not wait for breakpoint")
    session.turn()
    while not node.is_suspended(words[0]):
        if all(task.done() for task in session.tasks):
            raise w.CommandError(f"No request can stop at breakpoint {words[0]}: none is under way")
        session.turn()


COMMANDS = (
    Command("break", "event tag", "sets a breakpoint on event and tags the stopped request as tag", _break, 2, 2),
    Command("remove_break", "tag", "remove a breakpoint by tag", _remove_break, 1, 1),
    Command("resume", "tag", "resumes the request tagged as tag", _resume, 1, 1),
    Command("wait_break", "tag", "waits for the suspension of a request", _wait_break, 1, 1),
)

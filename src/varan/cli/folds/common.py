"""Folds that many options share."""

from __future__ import annotations

from collections.abc import Callable

from varan.cli.builder import Builder
from varan.cli.option import UsageError
from varan.core.keyval import Arguments

Fold = Callable[[Builder, str], None]
HELP_WORDS = frozenset({"help", "?"})


def nothing(builder: Builder, value: str) -> None:
    """The option says what is so anyway."""


def only(*accepted: str) -> Fold:
    """The option may only say one of these, which is so anyway."""

    def fold(builder: Builder, value: str) -> None:
        if value not in accepted:
            raise UsageError(f"'{value}' is not supported yet; only {' or '.join(accepted)} is")

    return fold


def only_off(*switches: str) -> Fold:
    """The option may only switch these off, as they are anyway."""

    def fold(builder: Builder, value: str) -> None:
        arguments = Arguments(value)
        for switch in switches:
            take_off(arguments, switch)
        arguments.finish()

    return fold


def take_off(arguments: Arguments, switch: str) -> None:
    """Take a switch that may only be off. Raises UsageError when it is on."""
    if arguments.take_bool(switch):
        raise UsageError(f"{switch}=on is not supported yet")


def refuse(what: str) -> Fold:
    """The option is refused: Varan has no `what` yet."""

    def fold(builder: Builder, value: str) -> None:
        raise UsageError(f"not supported yet: there are no {what}")

    return fold

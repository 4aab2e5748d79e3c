"""The option table as the protocol describes it (query-command-line-options)."""

from __future__ import annotations

import re

from varan.api.values import CommandLineOptionInfo, CommandLineParameterInfo, CommandLineParameterType
from varan.cli.option import Group, Option

_OLD_NAMES = {"boot": "boot-opts", "smp": "smp-opts", "m": "memory"}
"""Options that the protocol knows by another name than the command line."""
_PARAMETER = re.compile(r"([a-z][a-z0-9-]*)=\]?([^][,]+)")
"""`name=VALUE` in an option's synopsis; `[name=]VALUE` where the name may be left out."""
_PLACEHOLDERS = frozenset({"option", "setting"})
"""Names in a synopsis that stand for others."""
_SWITCH = frozenset({"on", "off"})
_NUMBERS = frozenset({"N", "FD", "SET"})


def describe() -> list[CommandLineOptionInfo]:
    """Every option whose argument has parameters."""
    from varan.cli.options import OPTIONS

    return [info for option in OPTIONS if option.group is not Group.REFUSED and (info := _info(option)) is not None]


def _info(option: Option) -> CommandLineOptionInfo | None:
    parameters = [
        CommandLineParameterInfo(name=name, type=_kind(value))
        for name, value in _PARAMETER.findall(option.argument or "")
        if name not in _PLACEHOLDERS
    ]
    if not parameters:
        return None
    return CommandLineOptionInfo(option=_OLD_NAMES.get(option.name, option.name), parameters=parameters)


def _kind(value: str) -> CommandLineParameterType:
    if set(value.split("|")) <= _SWITCH:
        return CommandLineParameterType.BOOLEAN
    if value in _NUMBERS:
        return CommandLineParameterType.NUMBER
    return CommandLineParameterType.SIZE if value == "SIZE" else CommandLineParameterType.STRING

"""-kernel and what goes with it, and what firmware is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from varan.board import bootorder
from varan.cli.builder import Builder
from varan.cli.option import UsageError
from varan.core.keyval import Arguments
from varan.errors import VaranError

LONGEST_WAIT = 65535
LONGEST_NAME = 55
LARGEST_FILE = 16 << 20


def fold_kernel(builder: Builder, value: str) -> None:
    """-kernel FILE"""
    builder.boot.kernel = value


def fold_initrd(builder: Builder, value: str) -> None:
    """-initrd FILE"""
    builder.boot.initrd = value


def fold_append(builder: Builder, value: str) -> None:
    """-append TEXT"""
    builder.boot.append = value


def fold_bios(builder: Builder, value: str) -> None:
    """-bios FILE"""
    builder.boot.firmware = value


def fold_demo(builder: Builder, value: str) -> None:
    """-demo"""
    builder.boot.demo = True


def fold_boot(builder: Builder, value: str) -> None:
    """-boot [order=LETTERS][,once=LETTERS][,menu=on|off]..."""
    arguments = Arguments(value, "order")
    arguments.refuse("splash", "is not supported yet: the machine has no display to show it on")
    given: dict[str, Any] = {
        "order": _letters(arguments.take("order")),
        "once": _letters(arguments.take("once")),
        "menu": arguments.take_bool("menu"),
        "strict": arguments.take_bool("strict"),
        "menu_milliseconds": _milliseconds(arguments, "splash-time", 0),
        "retry_milliseconds": _milliseconds(arguments, "reboot-timeout", -1),
    }
    arguments.finish()
    builder.boot_order = replace(builder.boot_order, **{name: one for name, one in given.items() if one is not None})


def _letters(order: str | None) -> str | None:
    if order is not None:
        try:
            bootorder.check(order)
        except VaranError as error:
            raise UsageError(str(error)) from None
    return order


def _milliseconds(arguments: Arguments, key: str, least: int) -> int | None:
    text = arguments.take(key)
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= LONGEST_WAIT:
        raise UsageError(f"{key} is invalid, it should be a value between {least} and {LONGEST_WAIT}")
    return number


def fold_fw_cfg(builder: Builder, value: str) -> None:
    """-fw_cfg [name=]NAME,file=FILE or [name=]NAME,string=TEXT"""
    arguments = Arguments(value, "name")
    arguments.refuse("gen_id", "is not supported yet: no object makes such a file")
    name, file, text = arguments.take("name"), arguments.take("file"), arguments.take("string")
    arguments.finish()
    if not name or (file is None) == (text is None):
        raise UsageError("name, plus exactly one of file and string, are needed")
    if len(name.encode()) > LONGEST_NAME:
        raise UsageError(f"name too long (max. {LONGEST_NAME} char)")
    if name in builder.firmware_files:
        raise UsageError(f"duplicate fw_cfg file name: {name}")
    if not name.startswith("opt/"):
        builder.warnings.append(f'-fw_cfg: names of files from outside should start with "opt/", unlike {name}')
    builder.firmware_files[name] = _load(file) if file is not None else (text or "").encode("utf-8", "surrogateescape")


def _load(file: str) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            data = opened.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"can't load {file}: {why}") from None
    if len(data) > LARGEST_FILE:
        raise UsageError(f"can't load {file}: it has more than {LARGEST_FILE >> 20} MiB")
    return data

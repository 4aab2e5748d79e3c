"""How images are described to people: sizes, tables of snapshots, nested values."""

from __future__ import annotations

import time

from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_SUFFIXES = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_MILLION = 1_000_000
_SNAPSHOT_HEAD = ("ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT")


def human_size(size: int) -> str:
    """`size` in bytes with three digits: "1.5 GiB"."""
    index, limit = 0, 1000
    while index + 1 < len(_SUFFIXES) and size >= limit:
        index += 1
        limit *= 1024
    return f"{size / (1 << 10 * index):0.3g} {_SUFFIXES[index]}B"


def snapshot_table(snapshots: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of the table of internal snapshots, each given as in the JSON output."""
    rows = [_SNAPSHOT_HEAD, *(_snapshot_row(snapshot) for snapshot in snapshots)]
    return [f"{id:<10}{tag:<17}{size:>8}{date:>20}{clock:>13}{count:>11}" for id, tag, size, date, clock, count in rows]


def _snapshot_row(snapshot: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
    seconds = snapshot["vm-clock-sec"]
    hours, minutes = divmod(seconds // 60, 60)
    clock = f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}.{snapshot['vm-clock-nsec'] // _MILLION:03d}"
    date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(snapshot["date-sec"]))
    count = snapshot.get("icount")
    return (
        snapshot["id"],
        snapshot["name"],
        human_size(snapshot["vm-state-size"]),
        date,
        clock,
        "" if count is None else str(count),
    )


def nested(value: Mapping[str, Any] | Sequence[Any], depth: int = 0) -> list[str]:
    """Lines that show nested mappings and lists, dashes in keys as spaces."""
    lines: list[str] = []
    if isinstance(value, dict):
        entries = [(key.replace("-", " "), item) for key, item in value.items()]
    else:
        entries = [(f"[{index}]", item) for index, item in enumerate(value)]
    for label, item in entries:
        indent = "    " * depth
        if isinstance(item, dict | list | tuple):
            lines.append(f"{indent}{label}:")
            lines += nested(item, depth + 1)
        else:
            lines.append(f"{indent}{label}: {_scalar(item)}")
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def json_text(value: Any) -> str:
    """`value` as indented JSON."""
    return _json(value, "\n")


def _json(value: Any, line_end: str) -> str:
    """JSON as the `json` module writes it, which is loaded only for texts that need escapes."""
    inner = f"{line_end}    "
    if isinstance(value, dict):
        members = [f"{inner}{_json(key, inner)}: {_json(item, inner)}" for key, item in value.items()]
        return f"{{{','.join(members)}{line_end}}}" if members else "{}"
    if isinstance(value, list):
        items = [f"{inner}{_json(item, inner)}" for item in value]
        return f"[{','.join(items)}{line_end}]" if items else "[]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str) and value.isascii() and value.isprintable() and not {'"', "\\"} & set(value):
        return f'"{value}"'
    import json

    return json.dumps(value, indent=4)

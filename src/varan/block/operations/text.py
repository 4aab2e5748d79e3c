"""How images are described to people: sizes, tables of snapshots, nested values, all there is to say."""

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


def image_text(info: Mapping[str, Any]) -> list[str]:
    """Lines about an image, given as in the JSON output (`operations.info`)."""
    size, actual = info["virtual-size"], info.get("actual-size")
    lines = [
        f"image: {info['filename']}",
        f"file format: {info['format']}",
        f"virtual size: {human_size(size)} ({size} bytes)",
        f"disk size: {'unavailable' if actual is None else human_size(actual)}",
    ]
    if info.get("encrypted"):
        lines.append("encrypted: yes")
    if "cluster-size" in info:
        lines.append(f"cluster_size: {info['cluster-size']}")
    if info.get("dirty-flag"):
        lines.append("cleanly shut down: no")
    lines += _backing(info)
    if info.get("snapshots"):
        lines += ["Snapshot list:", *snapshot_table(info["snapshots"])]
    if info.get("format-specific"):
        lines += ["Format specific information:", *nested(info["format-specific"]["data"], 1)]
    return lines


def _backing(info: Mapping[str, Any]) -> list[str]:
    name, full = info.get("backing-filename"), info.get("full-backing-filename")
    if name is None:
        return []
    place = "" if full == name else " (cannot determine actual path)" if full is None else f" (actual path: {full})"
    lines = [f"backing file: {name}{place}"]
    if "backing-filename-format" in info:
        lines.append(f"backing file format: {info['backing-filename-format']}")
    return lines

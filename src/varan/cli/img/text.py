"""Indented JSON."""

from __future__ import annotations

from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


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

"""The option grammar of block nodes: dotted keys, nested mappings and `json:{...}` names become one flat table.

`{"driver": "qcow2", "file": {"filename": "a"}}`, `driver=qcow2,file.filename=a` and
`json:{"driver":"qcow2","file.filename":"a"}` say the same. The flat form has dotted names and scalar values; text from
a command line and typed values from a protocol are both welcome and are converted to what the driver declares.
"""

from __future__ import annotations

from _collections_abc import Mapping

from varan.block.base import BlockError, ChildRole, Driver, ErrorKind, OpenOptions
from varan.block.naming import JSON_PREFIX, is_node_name
from varan.core.sizes import parse_size
from varan.light import TYPE_CHECKING, replace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeAlias

Flat: TypeAlias = "dict[str, Any]"
"""Options by dotted name; values are str, int, float, bool or None."""

MAX_DEPTH = 64
"""How deeply options may be nested."""
MAX_OPTIONS = 4096
"""How many options one image may have."""
MAX_JSON = 1 << 16
"""Characters of a `json:` name."""

_COMMON = {
    "node-name": ("node_name", "str"),
    "read-only": ("read_only", "bool"),
    "auto-read-only": ("auto_read_only", "bool"),
    "cache.direct": ("cache_direct", "bool"),
    "cache.no-flush": ("cache_no_flush", "bool"),
    "cache.writeback": ("cache_writeback", "bool"),
    "detect-zeroes": ("detect_zeroes", "str"),
    "discard": ("discard", "str"),
    "force-share": ("force_share", "bool"),
}
_DISCARD = {"ignore": False, "off": False, "unmap": True, "on": True}
_BOOLS = {"on": True, "yes": True, "true": True, "y": True, "off": False, "no": False, "false": False, "n": False}


def invalid(message: str) -> BlockError:
    """An error about an option."""
    return BlockError(ErrorKind.INVALID, message)


def flatten(options: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Flat:
    """The flat form. Raises BlockError for contradictions (`file` both a value and a mapping) and for excess."""
    flat: Flat = {}
    pairs = options.items() if isinstance(options, Mapping) else options
    for key, value in pairs:
        _flatten_into(flat, str(key), value, 0)
    for key in flat:
        parent = key.rpartition(".")[0]
        while parent:
            if parent in flat:
                raise invalid(f"option '{parent}' is given as a value and with parts ('{key}')")
            parent = parent.rpartition(".")[0]
    return flat


def _flatten_into(flat: Flat, key: str, value: Any, depth: int) -> None:
    if depth > MAX_DEPTH or key.count(".") > MAX_DEPTH:
        raise invalid("the options are nested too deeply")
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _flatten_into(flat, f"{key}.{name}", inner, depth + 1)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _flatten_into(flat, f"{key}.{index}", inner, depth + 1)
    elif value is not None and not isinstance(value, str | int | float):
        raise invalid(f"option '{key}' has a value of no known type")
    else:
        if len(flat) >= MAX_OPTIONS:
            raise invalid(f"more than {MAX_OPTIONS} options")
        flat[key] = value


def parse_json_name(name: str) -> Flat:
    """The options in a `json:{...}` name. Raises BlockError when it is not one JSON object."""
    if len(name) > MAX_JSON:
        raise invalid(f"a json: name may have {MAX_JSON} characters")
    try:
        import json

        value = json.loads(name.removeprefix(JSON_PREFIX))
    except (ValueError, RecursionError) as error:
        raise invalid(f"could not parse the JSON options: {error}") from None
    if not isinstance(value, dict):
        raise invalid("json: must be followed by an object")
    return flatten(value)


def expand(options: Flat) -> Flat:
    """`options` with a `json:` file name replaced by what it says; options given beside it win."""
    filename = options.get("filename")
    if not isinstance(filename, str) or not filename.startswith(JSON_PREFIX):
        return dict(options)
    rest = {key: value for key, value in options.items() if key != "filename"}
    inner = parse_json_name(filename)
    if str(inner.get("filename", "")).startswith(JSON_PREFIX):
        raise invalid("a json: name inside a json: name")
    return flatten(inner | rest)


def json_name(options: Mapping[str, Any]) -> str:
    """The `json:` name that stands for `options` (nested or flat)."""
    import json

    return JSON_PREFIX + json.dumps(options)


def convert(name: str, value: Any, kind: str) -> Any:
    """`value` as an option of `kind`. Raises BlockError naming the option."""
    if kind in ("str", "secret", "int|str"):
        if isinstance(value, str) or (kind == "int|str" and type(value) is int):
            return value
    elif kind == "bool":
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value in _BOOLS:
            return _BOOLS[value]
        raise invalid(f"option '{name}' expects 'on' or 'off'")
    elif kind in ("int", "size"):
        number = _number(value, kind)
        if number is not None:
            return number
    words = {"size": "a size", "int": "a number", "int|str": "a number or a string"}.get(kind, "a string")
    raise invalid(f"option '{name}' expects {words}, not '{value}'")


def _number(value: Any, kind: str) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if kind == "int" or 0 <= value < 1 << 64 else None
    if not isinstance(value, str) or len(value) > 40:
        return None
    if kind == "size":
        return parse_size(value)
    try:
        return int(value, 0)
    except ValueError:
        return None


def take_common(options: Flat, defaults: OpenOptions) -> OpenOptions:
    """The options that every node has, taken out of `options`; `defaults` where nothing is said."""
    given: dict[str, Any] = {}
    for key, (attribute, kind) in _COMMON.items():
        if key in options:
            given[attribute] = convert(key, options.pop(key), kind)
    if "discard" in given:
        if given["discard"] not in _DISCARD:
            raise invalid(f"option 'discard' expects 'ignore' or 'unmap', not '{given['discard']}'")
        given["discard"] = _DISCARD[given["discard"]]
    common = replace(defaults, **given)
    if common.detect_zeroes not in ("off", "on", "unmap"):
        raise invalid(f"option 'detect-zeroes' expects 'off', 'on' or 'unmap', not '{common.detect_zeroes}'")
    if common.detect_zeroes == "unmap" and not common.discard:
        raise invalid("option 'detect-zeroes' can be 'unmap' only with 'discard' set to 'unmap'")
    if common.node_name is not None and not is_node_name(common.node_name):
        raise invalid(f"Invalid node-name: '{common.node_name}'")
    if common.force_share and not common.read_only:
        raise invalid("force-share=on can only be used with read-only images")
    return common


def take_child(options: Flat, role: str) -> tuple[bool, str | Flat | None]:
    """What `options` say about the child in `role`, taken out of them: (said anything, reference, options or null)."""
    if role in options:
        value = options.pop(role)
        if value is None or isinstance(value, str):
            return True, value
        raise invalid(f"option '{role}' expects the name of a node")
    prefix = f"{role}."
    inner = {key.removeprefix(prefix): options.pop(key) for key in list(options) if key.startswith(prefix)}
    return bool(inner), inner


def driver_options(options: Flat, driver: type[Driver]) -> dict[str, Any]:
    """What is left of `options`, typed as `driver` declares. Raises BlockError naming an option it does not have."""
    typed: dict[str, Any] = {}
    for name, value in options.items():
        kind = driver.open_options.get(name) or driver.open_options.get(_pattern(name))
        if kind is None:
            raise invalid(f"block driver '{driver.name}' has no option '{name}'")
        typed[name] = convert(name, value, kind)
    return typed


def _pattern(name: str) -> str:
    """`inject-error.0.event` -> `inject-error.*.event`."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


def inherited(parent: OpenOptions, role: ChildRole) -> OpenOptions:
    """The options that a child has where its own say nothing."""
    child = OpenOptions(
        read_only=parent.read_only,
        auto_read_only=parent.auto_read_only,
        cache_direct=parent.cache_direct,
        cache_no_flush=parent.cache_no_flush,
        discard=parent.discard,
        force_share=parent.force_share,
        inline=parent.inline,
        key_later=parent.key_later,
        secret=parent.secret,
        throttle_group=parent.throttle_group,
    )
    if role.name == "backing":
        child.read_only = True
        child.auto_read_only = False
        child.discard = False
    return child

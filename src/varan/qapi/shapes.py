"""The shape of expressions: which keys they have, what JSON value each holds, and how names are written.

What passes here can be built without looking back; what names refer to is none of this module's business.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any

from varan.qapi import names
from varan.qapi.definition import META_TYPES, Pragma, RawDefinition
from varan.qapi.parser import Expression

_KEYWORDS = (*META_TYPES, "include", "pragma")
_KEYWORDS_2012 = ("enum", "type", "union", "command", "include", "pragma")

_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "enum": (("data",), ("if", "features", "prefix")),
    "struct": (("data",), ("base", "if", "features")),
    "union": (("base", "discriminator", "data"), ("if", "features")),
    "alternate": (("data",), ("if", "features")),
    "command": (
        (),
        (
            *("data", "returns", "boxed", "if", "features", "gen", "success-response", "coroutine"),
            *("allow-oob", "allow-preconfig"),
        ),
    ),
    "event": ((), ("data", "boxed", "if", "features")),
}
"""(required, optional) keys beside the keyword."""
_KEYS_2012: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "enum": (("data",), ()),
    "struct": (("data",), ("base",)),
    "union": (("data",), ("base", "discriminator")),
    "command": ((), ("data", "returns", "gen", "success-response")),
}

_SYMBOL = re.compile(r"[A-Z][A-Z0-9_]*")
_ONLY_TRUE = ("boxed", "coroutine", "allow-oob", "allow-preconfig")
_ONLY_FALSE = ("gen", "success-response")
_MAX_CONDITION = 16


def meta_type(expression: Expression) -> str:
    """The keyword. QapiError: there is none, or more than one, or what it names is no string."""
    source = expression.source
    old = source.dialect.value == "2012"
    known = _KEYWORDS_2012 if old else _KEYWORDS
    found = [key for key in known if key in expression.value]
    if len(found) != 1:
        at = expression.offset_of((found[1],) if found else ())
        if found:
            raise source.error(at, f"both '{found[0]}' and '{found[1]}': it should be one")
        if "type" in expression.value:
            at = expression.offset_of(("type",))
            raise source.error(at, "'type' is of the 2012 dialect, the rest of this file is not: say 'struct'")
        raise source.error(at, f"none of the keywords {', '.join(known)}")
    meta = found[0]
    if meta not in ("include", "pragma") and not isinstance(expression.value[meta], str):
        raise source.error(expression.offset_of((meta,)), f"'{meta}' needs a name, a string")
    return meta


def check_include(expression: Expression) -> str:
    """The file's name."""
    name = expression.value["include"]
    source = expression.source
    for key in expression.value:
        if key != "include":
            raise source.error(expression.offset_of((key,)), f"unknown key '{key}' in an include directive")
    if not isinstance(name, str) or not name:
        raise source.error(expression.offset_of(("include",)), "'include' needs the name of a file, a string")
    return name


def set_pragma(expression: Expression, pragma: Pragma) -> None:
    """Take over the settings. QapiError: one is unknown, or of the wrong kind."""
    value = expression.value["pragma"]
    source = expression.source
    for key in expression.value:
        if key != "pragma":
            raise source.error(expression.offset_of((key,)), f"unknown key '{key}' in a pragma directive")
    if not isinstance(value, dict):
        raise source.error(expression.offset_of(("pragma",)), "'pragma' needs an object of settings")
    for key, setting in value.items():
        at = expression.offset_of(("pragma", key))
        if key == "doc-required":
            if not isinstance(setting, bool):
                raise source.error(at, "pragma 'doc-required' is true or false")
            pragma.doc_required = setting
        elif key.replace("-", "_") in Pragma.__slots__ and "_" not in key:
            if not _is_strings(setting):
                raise source.error(at, f"pragma '{key}' needs a list of names")
            getattr(pragma, key.replace("-", "_")).update(setting)
        else:
            raise source.error(at, f"unknown pragma '{key}'{_suggestion(key, _PRAGMAS)}")


_PRAGMAS = [slot.replace("_", "-") for slot in Pragma.__slots__]


def check_shape(raw: RawDefinition, pragma: Pragma) -> None:
    """QapiError: with the first thing that is wrong in this definition."""
    _check_name(raw, pragma)
    _check_keys(raw, raw.expression.value, _KEYS_2012 if raw.old else _KEYS)
    value = raw.expression.value
    excepted = raw.name in pragma.member_name_exceptions
    _check_condition(raw, value)
    _check_features(raw, value)
    if raw.meta == "enum":
        _check_enum(raw, value, excepted)
    elif raw.meta in ("struct", "union"):
        _check_object(raw, value, excepted)
    elif raw.meta == "alternate":
        _check_alternate(raw, value["data"], excepted)
    else:
        _check_message(raw, value, excepted)


def _check_name(raw: RawDefinition, pragma: Pragma) -> None:
    name = raw.name
    if raw.old:
        fault = names.fault_of_2012(name)
    elif raw.meta == "command":
        fault = names.fault_of_command(name, name in pragma.command_name_exceptions)
    elif raw.meta == "event":
        fault = names.fault_of_event(name)
    else:
        fault = names.fault_of_type(name)
    if fault:
        raise raw.error(f"'{name}' cannot be its name: {fault}", raw.key)


def _check_keys(
    raw: RawDefinition, value: dict[str, Any], table: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
) -> None:
    required, optional = table[raw.meta]
    for key in value:
        if key not in required and key not in optional and key != raw.key:
            hint = _suggestion(key, (*required, *optional))
            raise raw.error(f"unknown key '{key}'{hint}", key)
    for key in required:
        if key not in value:
            raise raw.error(f"key '{key}' is missing")


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1, 0.75)
    return f" (is it '{close[0]}'?)" if close else ""


def _check_object_keys(raw: RawDefinition, value: Any, known: tuple[str, ...], path: tuple[str | int, ...]) -> None:
    """For the object form of a member, a value or a feature; the first known key is required."""
    for key in value:
        if key not in known:
            raise raw.error(f"unknown key '{key}'{_suggestion(key, known)}", *path, key)
    if known[0] not in value:
        raise raw.error(f"key '{known[0]}' is missing", *path)


def _check_condition(raw: RawDefinition, value: dict[str, Any], *path: str | int) -> None:
    if "if" in value:
        _check_condition_value(raw, value["if"], (*path, "if"), 0)


def _check_condition_value(raw: RawDefinition, value: Any, path: tuple[str | int, ...], depth: int) -> None:
    if isinstance(value, str):
        if not _SYMBOL.fullmatch(value):
            raise raw.error(f"'if' needs a configuration symbol in upper case, not '{value}'", *path)
        return
    if not isinstance(value, dict) or depth > _MAX_CONDITION:
        raise raw.error("'if' needs a configuration symbol, or an object with 'all', 'any' or 'not'", *path)
    if len(value) != 1:
        raise raw.error("an 'if' object has exactly one of 'all', 'any' and 'not'", *path)
    [(kind, operands)] = value.items()
    path = (*path, kind)
    if kind == "not":
        _check_condition_value(raw, operands, path, depth + 1)
    elif kind not in ("all", "any"):
        raise raw.error(f"unknown key '{kind}' in 'if'", *path)
    elif not isinstance(operands, list) or not operands:
        raise raw.error(f"'{kind}' needs a list of conditions that is not empty", *path)
    else:
        for index, operand in enumerate(operands):
            _check_condition_value(raw, operand, (*path, index), depth + 1)


def _check_features(raw: RawDefinition, value: dict[str, Any], *path: str | int) -> None:
    features = value.get("features")
    if features is None:
        return
    path = (*path, "features")
    if not isinstance(features, list):
        raise raw.error("'features' needs a list", *path)
    seen = set()
    for index, feature in enumerate(features):
        name = feature
        if isinstance(feature, dict):
            _check_object_keys(raw, feature, ("name", "if"), (*path, index))
            _check_condition(raw, feature, *path, index)
            name = feature["name"]
        if not isinstance(name, str):
            raise raw.error("a feature is a name, or an object with 'name'", *path, index)
        fault = names.fault_of_feature(name)
        if fault:
            raise raw.error(f"'{name}' cannot be a feature's name: {fault}", *path, index)
        if name in seen:
            raise raw.error(f"feature '{name}' occurs twice", *path, index)
        seen.add(name)


def _check_enum(raw: RawDefinition, value: dict[str, Any], excepted: bool) -> None:
    data = value["data"]
    if not isinstance(data, list):
        raise raw.error("'data' needs a list of values", "data")
    if "prefix" in value and not isinstance(value["prefix"], str):
        raise raw.error("'prefix' needs a string", "prefix")
    for index, entry in enumerate(data):
        name = entry
        if isinstance(entry, dict) and not raw.old:
            _check_object_keys(raw, entry, ("name", "if", "features"), ("data", index))
            _check_condition(raw, entry, "data", index)
            _check_features(raw, entry, "data", index)
            name = entry["name"]
        if not isinstance(name, str):
            raise raw.error("a value is a string, or an object with 'name'", "data", index)
        fault = names.fault_of_2012(name) if raw.old else names.fault_of_value(name, excepted)
        if fault:
            raise raw.error(f"'{name}' cannot be a value: {fault}", "data", index)


def _check_object(raw: RawDefinition, value: dict[str, Any], excepted: bool) -> None:
    base = value.get("base")
    if isinstance(base, dict) and raw.meta == "union":
        _check_members(raw, base, excepted, "base")
    elif base is not None and not isinstance(base, str):
        kind = "the name of a struct" + (", or an object of members" if raw.meta == "union" else "")
        raise raw.error(f"'base' needs {kind}", "base")
    if raw.meta == "struct":
        _check_members(raw, value["data"], excepted, "data")
        return
    if not isinstance(value.get("discriminator", ""), str):
        raise raw.error("'discriminator' needs the name of a member", "discriminator")
    if "discriminator" in value and base is None:
        raise raw.error("a discriminator needs a base to be a member of", "discriminator")
    data = value["data"]
    _need_object(raw, data, "data")
    if not data:
        raise raw.error("a union needs at least one branch", "data")
    for name, branch in data.items():
        if raw.old and not names.fault_of_2012(name):
            _check_type(raw, branch, ("data", name))
            continue
        fault = names.fault_of_2012(name)
        if fault:
            raise raw.error(f"'{name}' cannot be a branch: {fault}", "data", name)
        _check_branch(raw, branch, name)


def _check_branch(raw: RawDefinition, branch: Any, name: str) -> None:
    if isinstance(branch, dict):
        _check_object_keys(raw, branch, ("type", "if"), ("data", name))
        _check_condition(raw, branch, "data", name)
        branch = branch["type"]
    if raw.meta == "alternate":
        _check_type(raw, branch, ("data", name))
    elif not isinstance(branch, str):
        raise raw.error(f"branch '{name}' needs the name of a struct", "data", name)


def _check_alternate(raw: RawDefinition, data: Any, excepted: bool) -> None:
    _need_object(raw, data, "data")
    if not data:
        raise raw.error("an alternate needs at least one branch", "data")
    for name, branch in data.items():
        fault = names.fault_of_member(name, excepted)
        if fault:
            raise raw.error(f"'{name}' cannot be a branch: {fault}", "data", name)
        _check_branch(raw, branch, name)


def _check_message(raw: RawDefinition, value: dict[str, Any], excepted: bool) -> None:
    """A command or an event."""
    for key in _ONLY_TRUE:
        if value.get(key, True) is not True:
            raise raw.error(f"'{key}' can only be true", key)
    for key in _ONLY_FALSE:
        if value.get(key, False) is not False and not (raw.old and value[key] in ("no", "yes")):
            raise raw.error(f"'{key}' can only be {'no' if raw.old else 'false'}", key)
    if "coroutine" in value and "allow-oob" in value:
        raise raw.error("'coroutine' and 'allow-oob' exclude each other", "coroutine")
    data = value.get("data")
    if "boxed" in value:
        if data is None:
            raise raw.error("'boxed' needs 'data'", "boxed")
        if not isinstance(data, str):
            raise raw.error("with 'boxed', 'data' needs the name of a type", "data")
    if isinstance(data, dict):
        _check_members(raw, data, excepted, "data")
    elif data is not None and not isinstance(data, str):
        raise raw.error("'data' needs an object of members, or the name of a type", "data")
    returns = value.get("returns")
    if raw.old and isinstance(returns, dict):
        _check_members(raw, returns, excepted, "returns")
    elif "returns" in value:
        _check_type(raw, returns, ("returns",))


def _need_object(raw: RawDefinition, value: Any, *path: str | int) -> None:
    if not isinstance(value, dict):
        raise raw.error(f"'{path[-1]}' needs an object", *path)


def _check_members(raw: RawDefinition, members: Any, excepted: bool, *path: str | int) -> None:
    _need_object(raw, members, *path)
    fault_of: Callable[[str], str | None]
    if raw.old:
        fault_of = names.fault_of_2012
    else:
        fault_of = lambda name: names.fault_of_member(name, excepted)  # noqa: E731
    for key, value in members.items():
        name = key[1:] if key[:1] == "*" else key
        fault = fault_of(name)
        if fault:
            raise raw.error(f"'{name}' cannot be a member: {fault}", *path, key)
        if type(value) is str:
            continue
        if not isinstance(value, dict):
            _check_type(raw, value, (*path, key))
        elif raw.old:
            _check_members(raw, value, excepted, *path, key)
        else:
            _check_object_keys(raw, value, ("type", "if", "features"), (*path, key))
            _check_condition(raw, value, *path, key)
            _check_features(raw, value, *path, key)
            _check_type(raw, value["type"], (*path, key))


def _check_type(raw: RawDefinition, value: Any, path: tuple[str | int, ...]) -> None:
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], str):
            return
        raise raw.error(f"'{path[-1]}': a list type has exactly one element, the name of a type", *path)
    if not isinstance(value, str):
        raise raw.error(f"'{path[-1]}' needs the name of a type, or a list with one", *path)


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)

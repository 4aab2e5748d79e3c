"""What is wrong with a command's arguments, in the protocol's terms.

msgspec decodes and validates; it stops at whatever it meets first and words it its own way. When it refuses, the
arguments are walked here along the same types, member by member in the order of the schema, for the error that the
protocol has for the case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

from varan.errors import InvalidParameterType, InvalidParameterValue, JSONParsing, MissingParameter, QmpError
from varan.qmp.refusals import ParameterUnexpected, ValueNotAccepted
from varan.qmp.wire import explain

_SCALARS: dict[type[inspect.Type], tuple[type | tuple[type, ...], str]] = {
    inspect.IntType: (int, "integer"),
    inspect.FloatType: ((int, float), "number"),
    inspect.StrType: (str, "string"),
    inspect.BoolType: (bool, "boolean"),
    inspect.NoneType: (type(None), "null"),
}

_WIDTHS: dict[tuple[int | float | None, int | float | None], str] = {
    bounds: name
    for bits in (8, 16, 32)
    for bounds, name in (
        ((0, (1 << bits) - 1), f"uint{bits}_t"),
        ((-(1 << bits - 1), (1 << bits - 1) - 1), f"int{bits}_t"),
    )
}
"""Kinds of integers by their bounds."""


def explain_arguments(raw: msgspec.Raw | bytes, type: Any, problem: Exception) -> QmpError:
    """The error for arguments that could not be decoded to `type`, where msgspec raised `problem`."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return JSONParsing(explain(error))
    try:
        _check(inspect.type_info(type), value, "")
    except QmpError as error:
        return error
    return InvalidParameterType("arguments", str(problem))


def unexpected_argument(raw: msgspec.Raw | bytes) -> QmpError | None:
    """The error for arguments of a command that has none; None when there are none."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return JSONParsing(explain(error))
    return ParameterUnexpected(next(iter(value))) if value else None


def _check(type: inspect.Type, value: Any, name: str) -> None:
    """Raise the QmpError for `value`, which is called `name`, if it is not of `type`."""
    if isinstance(type, inspect.Metadata):
        type = type.type
    scalar = _SCALARS.get(type.__class__)
    if scalar is not None:
        _check_scalar(type, value, name, *scalar)
        return
    check = _CHECKS.get(type.__class__)
    if check is not None:
        check(type, value, name)


def _check_scalar(type: inspect.Type, value: Any, name: str, kind: Any, expected: str) -> None:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        if isinstance(type, inspect.IntType) and type.ge == 0:
            raise InvalidParameterValue(name, "uint64")
        raise InvalidParameterType(name, expected)
    if isinstance(type, inspect.IntType) and (
        (type.ge is not None and value < type.ge) or (type.le is not None and value > type.le)
    ):
        width = _WIDTHS.get((type.ge, type.le))
        raise InvalidParameterType(name, expected) if width is None else InvalidParameterValue(_local(name), width)


def _local(name: str) -> str:
    """What a value is called where it stands: sentences about what it is, and not about its kind, say no more."""
    return "null" if name.endswith("]") else name.rpartition(".")[2]


def _check_enum(type: Any, value: Any, name: str) -> None:
    if not isinstance(value, str):
        raise InvalidParameterType(name, "string")
    if value not in [member.value for member in type.cls]:
        raise ValueNotAccepted(_local(name), value)


def _check_literal(type: Any, value: Any, name: str) -> None:
    if not isinstance(value, str):
        raise InvalidParameterType(name, "string")
    if value not in type.values:
        raise ValueNotAccepted(_local(name), value)


def _check_list(type: Any, value: Any, name: str) -> None:
    if not isinstance(value, list):
        raise InvalidParameterType(name, "array")
    for index, element in enumerate(value):
        _check(type.item_type, element, f"{name}[{index}]")


def _check_dict(type: Any, value: Any, name: str) -> None:
    if not isinstance(value, dict):
        raise InvalidParameterType(name, "object")


def _check_struct(type: Any, value: Any, name: str) -> None:
    if not isinstance(value, dict):
        raise InvalidParameterType(name, "object")
    prefix = f"{name}." if name else ""
    known = {field.encode_name for field in type.fields}
    if type.tag_field is not None:
        known.add(type.tag_field)
    for field in type.fields:
        if field.encode_name in value:
            _check(field.type, value[field.encode_name], prefix + field.encode_name)
        elif field.required:
            raise MissingParameter(prefix + field.encode_name)
    if type.forbid_unknown_fields:
        for member in value:
            if member not in known:
                raise ParameterUnexpected(prefix + member)


def _check_union(type: Any, value: Any, name: str) -> None:
    """One of several: a union's branches, told apart by their tag, or an alternate's, by their JSON kind."""
    branches = list(type.types)
    if len(branches) == 1:
        _check(branches[0], value, name)
        return
    tagged = [branch for branch in branches if isinstance(branch, inspect.StructType) and branch.tag_field]
    if tagged and (isinstance(value, dict) or len(tagged) == len(branches)):
        _check_tagged(tagged, value, name)
        return
    errors = []
    for branch in branches:
        try:
            _check(branch, value, name)
        except QmpError as error:
            errors.append((branch, error))
        else:
            return
    raise next((error for branch, error in errors if _same_kind(branch, value)), _none_fits(name))


def _check_tagged(branches: list[inspect.StructType], value: Any, name: str) -> None:
    if not isinstance(value, dict):
        raise InvalidParameterType(name, "object")
    tag_field = branches[0].tag_field
    assert tag_field is not None
    tag_name = f"{name}.{tag_field}" if name else tag_field
    if tag_field not in value:
        raise MissingParameter(tag_name)
    tag = value[tag_field]
    if not isinstance(tag, str):
        raise InvalidParameterType(tag_name, "string")
    for branch in branches:
        if branch.tag == tag:
            _check(branch, value, name)
            return
    raise ValueNotAccepted(_local(tag_name), tag)


def _same_kind(type: inspect.Type, value: Any) -> bool:
    if isinstance(type, inspect.Metadata):
        type = type.type
    if isinstance(value, dict):
        return isinstance(type, inspect.StructType | inspect.DictType)
    if isinstance(value, list):
        return isinstance(type, inspect.ListType)
    if isinstance(value, str):
        return isinstance(type, inspect.StrType | inspect.EnumType)
    if isinstance(value, int) and not isinstance(value, bool):
        return isinstance(type, inspect.IntType | inspect.FloatType)
    return False


def _none_fits(name: str) -> QmpError:
    return InvalidParameterType(name, "a value of one of its alternatives")


_CHECKS: dict[type[inspect.Type], Callable[[Any, Any, str], None]] = {
    inspect.EnumType: _check_enum,
    inspect.LiteralType: _check_literal,
    inspect.ListType: _check_list,
    inspect.DictType: _check_dict,
    inspect.StructType: _check_struct,
    inspect.UnionType: _check_union,
}

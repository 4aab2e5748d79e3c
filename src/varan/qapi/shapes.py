"""The shape of expressions: which keys they have, and what kind of JSON value each holds."""

from __future__ import annotations

from typing import Any

from varan.qapi.definition import META_TYPES, Pragma, RawDefinition
from varan.qapi.parser import Expression


def meta_type(expression: Expression) -> str:
    """The keyword. QapiError: there is none, or more than one."""
    found = [key for key in (*META_TYPES, "type", "include", "pragma") if key in expression.value]
    if len(found) != 1:
        raise expression.source.error(expression.offset_of(), "not exactly one keyword")
    return found[0]


def check_include(expression: Expression) -> str:
    name: str = expression.value["include"]
    return name


def set_pragma(expression: Expression, pragma: Pragma) -> None:
    value: dict[str, Any] = expression.value["pragma"]
    for key, setting in value.items():
        if key == "doc-required":
            pragma.doc_required = setting
        else:
            getattr(pragma, key.replace("-", "_")).update(setting)


def check_shape(raw: RawDefinition, pragma: Pragma) -> None:
    pass

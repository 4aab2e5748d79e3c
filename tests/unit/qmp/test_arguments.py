"""Naming what is wrong with nested arguments, on types that the present schema has no example of."""

from __future__ import annotations

import enum
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from varan.api.values import UInt16
from varan.qmp.arguments import explain_arguments


class Mode(enum.Enum):
    READ = "read"
    WRITE = "write"


class Inner(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    host_name: str = msgspec.field(name="host-name")
    ports: list[int] | UnsetType = UNSET


class Inet(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="inet", kw_only=True):
    host: str


class Unix(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="unix", kw_only=True):
    path: str


class Outer(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    inner: Inner | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    ratio: float | UnsetType = UNSET
    flag: bool | UnsetType = UNSET
    address: Inet | Unix | UnsetType = UNSET
    either: str | Inner | UnsetType = UNSET
    count: int | UnsetType | None = UNSET
    small: UInt16 | UnsetType = UNSET


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"inner": 1}, "Invalid parameter type for 'inner', expected: object"),
        ({"inner": {}}, "Parameter 'inner.host-name' is missing"),
        ({"inner": {"host-name": "x", "y": 1}}, "Parameter 'inner.y' is unexpected"),
        ({"inner": {"host-name": "x", "ports": 1}}, "Invalid parameter type for 'inner.ports', expected: array"),
        (
            {"inner": {"host-name": "x", "ports": [1, "2"]}},
            "Invalid parameter type for 'inner.ports[1]', expected: integer",
        ),
        ({"mode": "append"}, "Parameter 'mode' does not accept value 'append'"),
        ({"mode": 1}, "Invalid parameter type for 'mode', expected: string"),
        ({"ratio": "1"}, "Invalid parameter type for 'ratio', expected: number"),
        ({"flag": 1}, "Invalid parameter type for 'flag', expected: boolean"),
        ({"flag": None}, "Invalid parameter type for 'flag', expected: boolean"),
        ({"address": {"host": "x"}}, "Parameter 'address.type' is missing"),
        ({"address": {"type": "fd"}}, "Parameter 'type' does not accept value 'fd'"),
        ({"small": -1}, "Parameter 'small' expects uint16_t"),
        ({"small": "x"}, "Parameter 'small' expects uint64"),
        ({"address": {"type": 3}}, "Invalid parameter type for 'address.type', expected: string"),
        ({"address": {"type": "unix"}}, "Parameter 'address.path' is missing"),
        ({"address": []}, "Invalid parameter type for 'address', expected: object"),
        ({"either": {"host-name": 1}}, "Invalid parameter type for 'either.host-name', expected: string"),
        ({"either": True}, "Invalid parameter type for 'either', expected: a value of one of its alternatives"),
    ],
)
def test_wrong_member_is_named_by_its_path(arguments: Any, text: str) -> None:
    raw = msgspec.json.encode(arguments)
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(raw, type=Outer)
    assert str(explain_arguments(raw, Outer, caught.value)) == text


def test_arguments_that_are_no_json_value_are_a_parse_error() -> None:
    raw = b'{"ratio": 1e999}'
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(raw, type=Outer)
    assert str(explain_arguments(raw, Outer, caught.value)) == "JSON parse error, number out of range"

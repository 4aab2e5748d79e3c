"""The types that every schema has."""

from __future__ import annotations

from varan.qapi.model import Builtin, Enum, EnumValue

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
UINT64_MAX = 2**64 - 1


def builtin_types() -> dict[str, Builtin | Enum]:
    """New objects, so that no two schemas share anything."""
    types: dict[str, Builtin | Enum] = {
        "str": Builtin("str", "string"),
        "number": Builtin("number", "number"),
        "int": Builtin("int", "int", INT64_MIN, INT64_MAX),
        "size": Builtin("size", "int", 0, UINT64_MAX),
        "bool": Builtin("bool", "boolean"),
        "null": Builtin("null", "null"),
        "any": Builtin("any", "value"),
    }
    for bits in (8, 16, 32, 64):
        types[f"int{bits}"] = Builtin(f"int{bits}", "int", -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        types[f"uint{bits}"] = Builtin(f"uint{bits}", "int", 0, (1 << bits) - 1)
    values = ("none", "qnull", "qnum", "qstring", "qdict", "qlist", "qbool")
    types["QType"] = Enum("QType", values=[EnumValue(value) for value in values], implicit=True)
    return types

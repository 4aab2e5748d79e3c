"""The protocol's names as Python's, and types as annotations."""

from __future__ import annotations

import keyword
import re

from varan.qapi.errors import Problem, QapiError
from varan.qapi.model import Alternate, Array, Builtin, Schema, Type

_SOFT_RESERVED = frozenset({"self", "int", "str", "bool", "float", "list", "dict"})
"""Names that annotations beside them need."""
_OF_VALUES = frozenset(
    {
        *("Any", "Annotated", "ClassVar", "Input", "Meta", "Output", "Struct", "TypeAlias"),
        *("UNSET", "UnsetType", "enum", "field"),
        *(f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)),
    }
)
"""What `varan.api.values` calls its own."""
_SCALARS = {"string": "str", "int": "int", "number": "float", "boolean": "bool", "null": "None", "value": "Any"}


def identifier(name: str) -> str:
    """A name as a variable, attribute or function: "cpu-index" is cpu_index, "class" is class_."""
    result = re.sub(r"\W", "_", name).lstrip("_")
    if not result or result[0].isdigit():
        result = f"v{result}"
    if keyword.iskeyword(result) or result in _SOFT_RESERVED:
        result += "_"
    return result


def constant(name: str) -> str:
    """A name as an enumeration's member: "io-error" is IO_ERROR, "4" is V4."""
    result = re.sub(r"\W", "_", name).lstrip("_").upper()
    return result if result[:1].isalpha() else f"V{result}"


def camel(name: str) -> str:
    """A name as a class: "query-cpus-fast" is QueryCpusFast, "BLOCK_JOB_READY" is BlockJobReady."""
    parts = re.split(r"[\W_]+", name)
    return "".join(part[0].upper() + (part[1:].lower() if part.isupper() else part[1:]) for part in parts if part)


class TypeNames:
    """What each type of one schema is called in `varan.api.values`."""

    def __init__(self, schema: Schema) -> None:
        self._names: dict[Type, str] = {}
        self._taken: set[str] = set(_OF_VALUES)
        for known in schema.types.values():
            if not isinstance(known, Builtin):
                self._claim(known)

    def of(self, used: Type) -> str:
        """The class, or alias, of a type with a name; implied objects get theirs on first use."""
        return self._names.get(used) or self._claim(used)

    def _claim(self, used: Type) -> str:
        name = self.unique(camel(used.name))
        self._names[used] = name
        return name

    def unique(self, name: str) -> str:
        """`name`, or something like it that no type is called yet; it is taken from now on."""
        while name in self._taken or keyword.iskeyword(name):
            name += "_"
        self._taken.add(name)
        return name

    def all(self) -> frozenset[str]:
        return frozenset(self._taken)


class Annotations:
    """Types as one generated module spells them; it remembers which names that module has to import."""

    def __init__(self, names: TypeNames, own: frozenset[str] = frozenset()) -> None:
        self._names = names
        self._own = own
        self._used: dict[str, str] = {}

    def for_people(self, used: Type) -> str:
        """Integers are `int` whatever their range."""
        return self._spell(used, exact=False)

    def for_decoding(self, used: Type) -> str:
        """Integers have their range."""
        return self._spell(used, exact=True)

    def _spell(self, used: Type, exact: bool) -> str:
        if isinstance(used, Array):
            return f"list[{self._spell(used.element, exact)}]"
        if isinstance(used, Builtin):
            return self._import(integer(used)) if exact and used.json == "int" else _SCALARS[used.json]
        return self._import(self._names.of(used))

    def _import(self, name: str) -> str:
        spelled = self._used[name] = f"{name}Value" if name in self._own else name
        return spelled

    def imported(self) -> list[str]:
        """What to write after `import`."""
        pairs = sorted(self._used.items())
        return [name if name == spelled else f"{name} as {spelled}" for name, spelled in pairs]


def integer(used: Builtin) -> str:
    """The alias in `varan.api.values` that has this type's range."""
    if used.name == "int":
        return "Int64"
    return "UInt64" if used.name == "size" else camel(used.name).replace("Uint", "UInt")


def accepts_null(used: Type) -> bool:
    """Whether null is a value of it, so that None cannot stand for "absent"."""
    if isinstance(used, Alternate):
        return any(accepts_null(member.type) for member in used.members)
    return isinstance(used, Builtin) and used.json in ("null", "value")


def cannot_emit(what: str) -> QapiError:
    """The schema is right, but has something that there is no Python for."""
    return QapiError(Problem("schema", 1, 1, what))

"""Properties: the named values of an object, their types, and how a user's word becomes a value of that type.

A *setting* is a property that is given when the object is made and that has a default; it lives in the object's
`settings`. Any other property is computed from the object when it is asked for. Type names are QOM's: `bool`, `str`,
`size`, `uint8` ... `uint64`, `int8` ... `int64`, `link<TYPE>`, and names of enumerations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from varan.core.sizes import parse_size
from varan.errors import InvalidParameterType, InvalidParameterValue

if TYPE_CHECKING:
    from varan.core.qom import Object

_INTEGERS = {
    f"{sign}int{bits}": (-(1 << bits - 1) if not sign else 0, (1 << bits - (not sign)) - 1)
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}
_TRUE, _FALSE = frozenset({"on", "yes", "true", "y"}), frozenset({"off", "no", "false", "n"})
MANDATORY = object()
"""The default of a setting that must be given."""

Getter = Callable[[Any], Any]
Setter = Callable[[Any, Any], None]


class Property:
    """One named value of every object of a class.

    `read` and `write` take the object; without them the property is a setting with `default`, which may be written
    until the object is realized. With `setting` it is one in any case, which `write` may change later.
    `choices` are the words of an enumeration. `parse` makes a value of what was given where the type does not say how
    (ValueError for what is none), `shown` a word of the value for people.
    """

    __slots__ = ("choices", "default", "description", "name", "parse", "read", "setting", "shown", "type", "write")

    def __init__(
        self,
        name: str,
        type: str,
        description: str = "",
        *,
        default: Any = None,
        choices: tuple[str, ...] = (),
        read: Getter | None = None,
        write: Setter | None = None,
        setting: bool | None = None,
        parse: Callable[[Any], Any] | None = None,
        shown: Callable[[Any], str] | None = None,
    ) -> None:
        self.name = name
        self.type = type
        self.description = description
        self.default = default
        self.choices = choices
        self.setting = read is None and write is None if setting is None else setting
        self.read = read
        self.write = write
        self.parse = parse
        self.shown = shown

    @property
    def required(self) -> bool:
        """Whether an object cannot be made without it."""
        return self.default is MANDATORY

    def get(self, object: Object) -> Any:
        """The value now."""
        if self.read is not None:
            return self.read(object)
        return object.settings.get(self.name, None if self.required else self.default)

    def convert(self, value: Any) -> Any:
        """`value`, a word of the command line or a JSON value, as the property's type.

        Raises InvalidParameterType or InvalidParameterValue that names the property.
        """
        if self.parse is not None:
            return self.parse(value)
        if self.choices:
            return self._choice(value)
        if self.type == "bool":
            return self._bool(value)
        if self.type == "size" or self.type in _INTEGERS:
            return self._integer(value)
        if not isinstance(value, str):
            raise InvalidParameterType(self.name, "string")
        return value

    def _choice(self, value: Any) -> str:
        if isinstance(value, bool) and {"on", "off"} <= set(self.choices):
            value = "on" if value else "off"
        if not isinstance(value, str):
            raise InvalidParameterType(self.name, "string")
        if value not in self.choices:
            raise InvalidParameterValue(self.name, f"one of {', '.join(self.choices)}")
        return value

    def _bool(self, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        if not isinstance(value, str):
            raise InvalidParameterType(self.name, "boolean")
        if value not in _TRUE | _FALSE:
            raise InvalidParameterValue(self.name, "'on' or 'off'")
        return value in _TRUE

    def _integer(self, value: Any) -> int:
        expected = "a size below 2^64" if self.type == "size" else f"{self.type}_t"
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise InvalidParameterType(self.name, "integer")
        number = self._parse(value) if isinstance(value, str) else value
        if number is None and self.type != "size":
            raise InvalidParameterValue(self.name, "integer")
        low, high = _INTEGERS.get(self.type, (0, (1 << 64) - 1))
        if number is None or not low <= number <= high:
            raise InvalidParameterValue(self.name, expected)
        return number

    def _parse(self, text: str) -> int | None:
        if self.type == "size":
            return parse_size(text)
        try:
            return int(text, 0) if len(text) < 40 else None
        except ValueError:
            return None

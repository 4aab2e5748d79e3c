"""Lists of drivers and of their settings, as `help` prints them."""

from __future__ import annotations

from typing import Any

from varan.core.properties import Property
from varan.core.qom import Object
from varan.devices import registry

_WIDTH = 22


def drivers() -> str:
    """What users may ask for with `-device` and `device_add`, a line each."""
    lines = []
    for name in sorted(registry.DRIVERS):
        cls = registry.find(name)
        assert cls is not None
        if cls.user_creatable:
            bus = f", bus {cls.bus_type}" if cls.bus_type else ""
            short = [alias for alias, full in registry.ALIASES.items() if full == name]
            bus += "".join(f', alias "{alias}"' for alias in short)
            description = f', desc "{cls.description}"' if cls.description else ""
            lines.append(f'name "{name}"{bus}{description}')
    return "\n".join(lines)


def object_types() -> str:
    """What users may ask for with `-object` and `object_add`, a line each."""
    return "\n".join(["List of user creatable objects:", *(f"  {name}" for name in sorted(registry.OBJECTS))])


def settings(cls: type[Object]) -> str:
    """The settings of a type, with their types, descriptions and defaults."""
    declared = sorted(cls.all_properties().items())
    lines = [_setting(one) for _, one in declared if one.setting]
    if not lines:
        return f"There are no options for {cls.type_name}."
    return "\n".join([f"{cls.type_name} options:", *lines])


def _setting(one: Property) -> str:
    name = f"{one.name}=<{one.type}>"
    text = one.description
    if one.choices:
        text += f" ({', '.join(one.choices)})"
    if not one.required and one.default not in (None, ""):
        text += f" (default: {_shown(one.default)})"
    return f"  {name:{_WIDTH}} - {text}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)

"""The object tree (QOM): what a machine is made of, under one path scheme.

A Python class with a `type_name` of its own is a type; its parent type is the nearest base class that has one. An
object has named values (`varan.core.properties`) and named children; its path is the names from the root to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from varan.core.properties import Property
from varan.errors import GenericError

_NOBODY: dict[str, Object] = {}
_NOTHING: dict[str, Any] = {}


def type_of(object: Object) -> str:
    """The name of the object's type."""
    return object.type_name


class Object:
    """A node of the tree. Subclasses that are types of their own set `type_name`, and `abstract` when nobody makes one.

    `properties` are those that the class adds to its bases'.
    """

    type_name: ClassVar[str] = "object"
    abstract: ClassVar[bool] = True
    description: ClassVar[str] = ""
    interfaces: ClassVar[tuple[str, ...]] = ()
    """Names, beside those of its base types, under which the type is listed too."""
    properties: ClassVar[tuple[Property, ...]] = (Property("type", "string", read=type_of),)

    _declared: ClassVar[Mapping[str, Property]] = {}
    """Those of the class and its bases, by name."""
    _settings: ClassVar[Mapping[str, Property]] = {}
    """The settings among them."""

    settings: Mapping[str, Any] = _NOTHING
    """Values of the settings that were given."""
    parent: Object | None = None
    name: str = ""
    """Its name among the parent's children."""
    _children: dict[str, Object] = _NOBODY

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        found: dict[str, Property] = {}
        for base in reversed(cls.__mro__):
            found |= _named(vars(base).get("properties", ()))
        cls._declared = found
        cls._settings = {name: declared for name, declared in found.items() if declared.setting}

    @property
    def children(self) -> Mapping[str, Object]:
        """The children by name, in the order in which they came."""
        return self._children

    @property
    def links(self) -> Mapping[str, Object]:
        """References to other objects that come and go, by name; those that stay are declared properties."""
        return _NOBODY

    def add_child(self, name: str, child: Object) -> None:
        """Make `child` part of this object. Raises GenericError when the name is taken; a child has one parent."""
        if name in self._children or self.find_property(name) is not None:
            raise GenericError(
                f"attempt to add duplicate property '{name}' to object (type '{self.type_name}')",
            )
        assert child.parent is None, f"{child.name} has a parent"
        if self._children is _NOBODY:
            self._children = {}
        self._children[name] = child
        child.parent, child.name = self, name

    def add_numbered_child(self, stem: str, child: Object) -> None:
        """Make `child` part of this object as `stem[0]`, or the next number that is free."""
        number = 0
        while f"{stem}[{number}]" in self._children:
            number += 1
        self.add_child(f"{stem}[{number}]", child)

    def remove_from_parent(self) -> None:
        """Take this object and all below it out of the tree. Does nothing at the root."""
        if self.parent is not None:
            del self.parent._children[self.name]
            self.parent = None

    @property
    def path(self) -> str:
        """The absolute path, `/` for a root."""
        names: list[str] = []
        at: Object | None = self
        while at is not None and at.parent is not None:
            names.append(at.name)
            at = at.parent
        return "/" + "/".join(reversed(names))

    def walk(self) -> Iterator[Object]:
        """This object and everything below it, parents first."""
        yield self
        for child in list(self._children.values()):
            yield from child.walk()

    @classmethod
    def all_properties(cls) -> dict[str, Property]:
        """The declared properties by name, those of base classes first."""
        return dict(cls._declared)

    def find_property(self, name: str) -> Property | None:
        """The declared property called `name`."""
        return self._declared.get(name)

    def get(self, name: str) -> Any:
        """A property's value; a child's or link's is its path. Raises GenericError for a name there is not."""
        declared = self.find_property(name)
        if declared is not None:
            return declared.get(self)
        found = self._children.get(name) or self.links.get(name)
        if found is None:
            raise self._unknown(name)
        return found.path

    def set(self, name: str, value: Any) -> None:
        """Give a property another value. Raises GenericError where there is none or it cannot be written."""
        declared = self.find_property(name)
        if declared is None and name not in self._children and name not in self.links:
            raise self._unknown(name)
        if declared is None or (declared.write is None and not (declared.setting and self.may_be_set(declared))):
            raise GenericError(f"Property '{self.type_name}.{name}' is not writable")
        converted = declared.convert(value)
        if declared.write is not None:
            declared.write(self, converted)
        else:
            self.settings = {**self.settings, name: converted}

    def may_be_set(self, setting: Property) -> bool:
        """Whether the setting may still be written. May raise GenericError that says why not."""
        return True

    def _unknown(self, name: str) -> GenericError:
        return GenericError(f"Property '{self.type_name}.{name}' not found")


def _named(properties: Iterable[Property]) -> dict[str, Property]:
    return {declared.name: declared for declared in properties}


Object._declared = _named(Object.properties)


class Container(Object):
    """An object that only holds others."""

    type_name = "container"
    abstract = False


def settings_from(cls: type[Object], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, words or JSON values by name, as values of the settings of `cls`, defaults filled in.

    Raises GenericError for a name that is no setting or one that is missing, InvalidParameterValue for a bad value.
    """
    declared = cls._settings
    for name in given:
        if name not in declared:
            raise GenericError(f"Property '{cls.type_name}.{name}' not found")
    values: dict[str, Any] = {}
    for name, one in declared.items():
        if name in given:
            try:
                values[name] = one.convert(given[name])
            except ValueError:
                raise GenericError(f"Property '{cls.type_name}.{name}' doesn't take value '{given[name]}'") from None
        elif one.required:
            raise GenericError(f"{cls.type_name}: '{name}' must be given")
        else:
            values[name] = one.default
    return values

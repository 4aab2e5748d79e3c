"""Records, enumerations and typing names without the price of `dataclasses`, `enum` and `typing`.

Importing those three takes longer than most of what a command-line tool does with a disk image: they pull in `re`,
`inspect`, `ast`, `functools` and `collections`, and build classes slowly. The modules that such a tool loads take the
names from here. A type checker sees the standard library's; at run time there is what those modules use of them:

- `record(frozen=, slots=, eq=)`, `field(default_factory=)`, `replace`: as in `dataclasses`. That a frozen record
  does not change is left to the type checker, which makes records as quick to make as any object.
- `Enum`, `IntEnum`, `IntFlag`: members with `name` and `value`, iteration and look-up by value. Flags combine to plain
  integers, so testing them costs what testing an integer costs; members are reached by the class alone.
- `contextmanager`, `asynccontextmanager`: as in `contextlib`; the contexts do not decorate functions.
- `TYPE_CHECKING`, `Protocol`, `Generic`, `TypeVar`: for what only annotations need.
- `load`: what `importlib.import_module` does.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import asynccontextmanager, contextmanager
    from dataclasses import dataclass as record
    from dataclasses import field, replace
    from enum import Enum, IntEnum, IntFlag
    from types import ModuleType
    from typing import Generic, Protocol, TypeVar
else:
    Protocol = object

    class Generic:
        """See `typing.Generic`."""

        def __class_getitem__(cls, kind):
            return cls

    def TypeVar(name):
        """See `typing.TypeVar`: here it stands for anything."""
        return object

    class _EnumType(type):
        """The class of enumerations: turns what the body assigns into members."""

        def __new__(meta, name, bases, namespace):
            cls = super().__new__(meta, name, bases, namespace)
            cls._by_value = {}
            for key, value in namespace.items():
                if key[0] != "_" and not hasattr(value, "__get__"):
                    member = int.__new__(cls, value) if issubclass(cls, int) else object.__new__(cls)
                    member.name, member.value = key, value
                    setattr(cls, key, cls._by_value.setdefault(value, member))
            return cls

        def __call__(cls, value):
            if value in cls._by_value:
                return cls._by_value[value]
            if issubclass(cls, IntFlag):
                return int(value)
            raise ValueError(f"{value!r} is not a valid {cls.__name__}")

        def __iter__(cls):
            return iter(cls._by_value.values())

        def __len__(cls):
            return len(cls._by_value)

        def __contains__(cls, member):
            return isinstance(member, cls)

    class Enum(metaclass=_EnumType):
        """See `enum.Enum`."""

        def __repr__(self):
            return f"<{type(self).__name__}.{self.name}: {self.value!r}>"

        def __reduce__(self):
            return type(self), (self.value,)

    class IntEnum(int, Enum):
        """See `enum.IntEnum`."""

    class IntFlag(int, Enum):
        """See `enum.IntFlag`."""

    class _Factory:
        """A default that is made for each record."""

        def __init__(self, make):
            self.make = make

    def field(*, default_factory):
        """See `dataclasses.field`."""
        return _Factory(default_factory)

    def record(cls=None, /, *, frozen=False, slots=False, eq=True):
        """See `dataclasses.dataclass`. The module that uses it must postpone the evaluation of annotations."""
        if cls is None:
            return lambda found: record(found, frozen=frozen, slots=slots, eq=eq)
        own = cls.__dict__
        names = [name for name, kind in own.get("__annotations__", {}).items() if not kind.startswith("ClassVar")]
        defaults = {name: own[name] for name in names if name in own}
        members = {
            "__fields__": (*getattr(cls, "__fields__", ()), *names),
            "__defaults__": getattr(cls, "__defaults__", {}) | defaults,
            "__init__": _first_init,
        }
        members["__match_args__"] = members["__fields__"]
        if "__repr__" not in own:
            members["__repr__"] = _repr
        if eq:
            members |= {"__eq__": _equal, "__hash__": _hash if frozen else None}
        if slots:
            body = {name: value for name, value in own.items() if name not in ("__dict__", "__weakref__", *defaults)}
            return type(cls)(cls.__name__, cls.__bases__, body | members | {"__slots__": tuple(names)})
        for name, value in members.items():
            setattr(cls, name, value)
        for name, value in defaults.items():
            if isinstance(value, _Factory):
                delattr(cls, name)
        return cls

    def _first_init(self, *values, **named):
        """Write the constructor when the first record is made: many kinds never are in a short run."""
        cls = next(found for found in type(self).__mro__ if found.__dict__.get("__init__") is _first_init)
        cls.__init__ = _written_init(cls)
        cls.__init__(self, *values, **named)

    def _written_init(cls):
        space, parameters, lines = {}, ["self"], []
        for name in cls.__fields__:
            value = name
            if name in cls.__defaults__:
                default = cls.__defaults__[name]
                space[f"_{name}"] = default
                parameters.append(f"{name}=_{name}")
                if isinstance(default, _Factory):
                    value = f"_{name}.make() if {name} is _{name} else {name}"
            else:
                parameters.append(name)
            lines.append(f" self.{name} = {value}")
        if hasattr(cls, "__post_init__"):
            lines.append(" self.__post_init__()")
        exec("\n".join([f"def __init__({', '.join(parameters)}):", *(lines or [" pass"])]), space)
        space["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
        return space["__init__"]

    def _values(self):
        return tuple([getattr(self, name) for name in self.__fields__])

    def _repr(self):
        inner = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__fields__)
        return f"{type(self).__qualname__}({inner})"

    def _equal(self, other):
        return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

    def _hash(self):
        return hash(_values(self))

    def replace(instance, /, **changes):
        """See `dataclasses.replace`."""
        return type(instance)(**dict(zip(instance.__fields__, _values(instance), strict=True)) | changes)

    class _Managed:
        """A context whose entry and exit are what a generator does before and after its `yield`."""

        def __init__(self, body):
            self._body = body

        def __enter__(self):
            return next(self._body)

        def __exit__(self, kind, error, trace):
            if error is None:
                return next(self._body, None)
            try:
                self._body.throw(error)
            except StopIteration as stop:
                return stop is not error
            except BaseException as raised:
                return _passed_on(raised, error)
            raise RuntimeError("the generator yields twice")

        async def __aenter__(self):
            return await anext(self._body)

        async def __aexit__(self, kind, error, trace):
            if error is None:
                return await anext(self._body, None)
            try:
                await self._body.athrow(error)
            except StopAsyncIteration as stop:
                return stop is not error
            except BaseException as raised:
                return _passed_on(raised, error)
            raise RuntimeError("the generator yields twice")

    def _passed_on(raised, error):
        """False, for the error to go on, where the generator let it through; raises another one."""
        if raised is error or (raised.__cause__ is error and isinstance(error, StopIteration | StopAsyncIteration)):
            return False
        raise raised

    def contextmanager(function):
        """See `contextlib.contextmanager`; functions of either kind."""

        def begin(*values, **named):
            return _Managed(function(*values, **named))

        begin.__doc__ = function.__doc__
        return begin

    asynccontextmanager = contextmanager


__all__ = [
    "TYPE_CHECKING",
    "Enum",
    "Generic",
    "IntEnum",
    "IntFlag",
    "Protocol",
    "TypeVar",
    "asynccontextmanager",
    "contextmanager",
    "field",
    "load",
    "record",
    "replace",
]


def load(name: str) -> ModuleType:
    """The module called `name`, imported if it is not there yet: what `importlib`, which takes time itself, does."""
    __import__(name)
    return sys.modules[name]

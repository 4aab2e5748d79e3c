"""Handlers of schema/qom.json."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from varan.api.values import ObjectOptions, ObjectPropertyInfo, ObjectTypeInfo
from varan.commands.registry import handler
from varan.core import paths
from varan.core.properties import Property
from varan.core.qom import Object
from varan.devices import registry
from varan.errors import DeviceNotFound
from varan.machine.machine import Machine


@handler("qom-list")
async def qom_list(machine: Machine, path: str) -> list[ObjectPropertyInfo]:
    """Declared properties first, then children and links."""
    found = paths.find(machine.tree.root, path)
    return [ObjectPropertyInfo(name=name, type=type) for name, type in properties_of(found)]


def properties_of(found: Object) -> list[tuple[str, str]]:
    """Names and types of an object's properties, children and links among them."""
    declared = [(one.name, one.type) for one in found.all_properties().values()]
    children = [(name, f"child<{child.type_name}>") for name, child in found.children.items()]
    return declared + children + [(name, f"link<{linked.type_name}>") for name, linked in found.links.items()]


@handler("qom-get")
async def qom_get(machine: Machine, path: str, property: str) -> Any:
    """A value that has to be asked for elsewhere (a vCPU's) is waited for."""
    found = paths.find(machine.tree.root, path)
    with machine.lock:
        value = found.get(property)
    return await value if inspect.isawaitable(value) else value


@handler("qom-set")
async def qom_set(machine: Machine, path: str, property: str, value: Any) -> None:
    """Under the machine lock, as the guest may look at what the property changes."""
    found = paths.find(machine.tree.root, path)
    with machine.lock:
        found.set(property, value)


@handler("qom-list-types")
async def qom_list_types(
    machine: Machine, implements: str | None = None, abstract: bool | None = None
) -> list[ObjectTypeInfo]:
    """From the classes that there are."""
    listed = []
    for cls in registry.all_types().values():
        chain = list(registry.type_chain(cls))
        names = {base.type_name for base in chain} | set(cls.interfaces)
        if (cls.abstract and not abstract) or (implements is not None and implements not in names):
            continue
        info = ObjectTypeInfo(name=cls.type_name)
        if cls.abstract:
            info.abstract = True
        if len(chain) > 1:
            info.parent = chain[1].type_name
        listed.append(info)
    return listed


@handler("qom-list-properties")
async def qom_list_properties(machine: Machine, typename: str) -> list[ObjectPropertyInfo]:
    """Children are not a type's but an object's, and not here."""
    cls = registry.all_types().get(typename)
    if cls is None:
        raise ClassNotFound(typename)
    return [describe(one) for one in cls.all_properties().values()]


class ClassNotFound(DeviceNotFound):
    """DeviceNotFound for a type, in words of its own."""

    template = "Class '{device}' not found"
    class_name = "DeviceNotFound"


def describe(one: Property, with_default: bool = False) -> ObjectPropertyInfo:
    """A declared property as the protocol shows it."""
    info = ObjectPropertyInfo(name=one.name, type=one.type)
    if one.description:
        info.description = one.description
    if with_default and one.setting and not one.required and one.default is not None:
        info.default_value = one.default
    return info


@handler("object-add")
async def object_add(machine: Machine, arguments: ObjectOptions) -> None:
    """The union's members beside type and id are the type's settings."""
    settings: dict[str, Any] = msgspec.to_builtins(arguments)
    kind, id = settings.pop("qom-type"), settings.pop("id")
    await machine.objects.add(kind, id, settings)


@handler("object-del")
async def object_del(machine: Machine, id: str) -> None:
    """Of a device's own objects none can be removed."""
    await machine.objects.remove(id)

"""Paths: absolute, partial, through links."""

from __future__ import annotations

import pytest

from varan.core.paths import find
from varan.core.properties import Property
from varan.core.qom import Container, Object
from varan.errors import DeviceNotFound, GenericError


class Pointer(Object):
    """An object with a link."""

    type_name = "pointer"
    abstract = False
    properties = (Property("to", "link<container>", read=lambda pointer: pointer.target),)
    target = ""


@pytest.fixture
def root() -> Object:
    root, left, right, pointer = Container(), Container(), Container(), Pointer()
    root.add_child("left", left)
    root.add_child("right", right)
    left.add_child("leaf", Container())
    left.add_child("only", Container())
    right.add_child("leaf", Container())
    root.add_child("pointer", pointer)
    return root


@pytest.mark.parametrize("path", ["/", "//", "/left/leaf", "left/leaf", "only", "/left//only/"])
def test_object_is_found(root: Object, path: str) -> None:
    parts = [part for part in path.split("/") if part]
    assert find(root, path).path.endswith("/".join(parts))


@pytest.mark.parametrize("path", ["/leaf", "/left/leaf/x", "nothing", "leaf/left"])
def test_path_that_fits_nowhere_is_no_device(root: Object, path: str) -> None:
    with pytest.raises(DeviceNotFound, match=f"Device '{path}' not found"):
        find(root, path)


@pytest.mark.parametrize("path", ["leaf", ""])
def test_tail_that_fits_twice_is_ambiguous(root: Object, path: str) -> None:
    with pytest.raises(GenericError, match=f"Path '{path}' is ambiguous"):
        find(root, path)


def test_links_are_followed_where_they_lead_somewhere(root: Object) -> None:
    pointer = root.children["pointer"]
    assert isinstance(pointer, Pointer)
    with pytest.raises(DeviceNotFound):
        find(root, "/pointer/to")
    pointer.target = "/left"
    assert find(root, "/pointer/to/only").path == "/left/only"
    pointer.target = "/gone"
    with pytest.raises(DeviceNotFound):
        find(root, "/pointer/to")

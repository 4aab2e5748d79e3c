from __future__ import annotations

import pytest

from varan.core.properties import MANDATORY, Property
from varan.core.qom import Container, Object, settings_from
from varan.errors import GenericError, InvalidParameterType, InvalidParameterValue


class Lamp(Object):
    type_name = "lamp"
    abstract = False
    properties = (
        Property("watts", "uint16", default=60),
        Property("maker", "str", default=MANDATORY),
        Property("mode", "LampMode", default="warm", choices=("warm", "cold")),
        Property("dimmed", "bool", default=False),
        Property("memory", "size", default=0),
    )


class Spot(Lamp):
    type_name = "spot"
    properties = (Property("watts", "uint16", default=20), Property("angle", "int8", default=0))


def tree() -> tuple[Container, Container, Lamp]:
    root, room, lamp = Container(), Container(), Lamp()
    root.add_child("room", room)
    room.add_child("lamp", lamp)
    return root, room, lamp


def test_path_names_every_object_from_the_root() -> None:
    root, _, lamp = tree()
    assert (root.path, lamp.path) == ("/", "/room/lamp")


def test_a_taken_name_is_refused() -> None:
    _, room, _ = tree()
    with pytest.raises(GenericError, match="duplicate property 'lamp'"):
        room.add_child("lamp", Lamp())
    with pytest.raises(GenericError, match="duplicate property 'type'"):
        room.add_child("type", Lamp())


def test_numbered_children_take_the_first_free_number() -> None:
    room = Container()
    lamps = [Lamp() for _ in range(3)]
    for lamp in lamps:
        room.add_numbered_child("lamp", lamp)
    lamps[1].remove_from_parent()
    room.add_numbered_child("lamp", lamps[1])
    assert list(room.children) == ["lamp[0]", "lamp[2]", "lamp[1]"]


def test_removed_object_is_a_root_with_its_own_children() -> None:
    root, room, lamp = tree()
    room.remove_from_parent()
    assert not root.children
    assert lamp.path == "/lamp"


def test_walk_goes_from_parents_to_children() -> None:
    root, room, lamp = tree()
    assert list(root.walk()) == [root, room, lamp]


def test_properties_are_inherited_and_may_be_redeclared() -> None:
    assert Spot.all_properties()["watts"].default == 20
    assert list(Spot.all_properties()) == ["type", "watts", "maker", "mode", "dimmed", "memory", "angle"]


def test_settings_are_converted_and_completed() -> None:
    given = {"maker": "x", "angle": "-5", "dimmed": "on", "memory": "2M"}
    assert settings_from(Spot, given) == {
        "watts": 20,
        "maker": "x",
        "mode": "warm",
        "dimmed": True,
        "memory": 2 << 20,
        "angle": -5,
    }


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({}, GenericError, "'maker' must be given"),
        ({"maker": "x", "colour": "red"}, GenericError, r"'lamp\.colour' not found"),
        ({"maker": "x", "watts": 65536}, InvalidParameterValue, "'watts' expects uint16_t"),
        ({"maker": "x", "watts": True}, InvalidParameterType, "'watts'"),
        ({"maker": "x", "watts": "many"}, InvalidParameterValue, "'watts'"),
        ({"maker": "x", "dimmed": "perhaps"}, InvalidParameterValue, "'dimmed'"),
        ({"maker": "x", "mode": "hot"}, InvalidParameterValue, "one of warm, cold"),
        ({"maker": 5}, InvalidParameterType, "'maker'"),
    ],
)
def test_bad_settings_are_refused_by_name(given: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        settings_from(Lamp, given)


def test_a_setting_reads_as_it_was_given() -> None:
    lamp = Lamp()
    lamp.settings = settings_from(Lamp, {"maker": "x"})
    lamp.set("watts", "40")
    assert (lamp.get("watts"), lamp.get("type"), lamp.get("mode")) == (40, "lamp", "warm")


def test_computed_properties_cannot_be_written() -> None:
    with pytest.raises(GenericError, match=r"'lamp\.type' is not writable"):
        Lamp().set("type", "x")


def test_a_child_reads_as_its_path_and_unknown_names_are_errors() -> None:
    _, room, _ = tree()
    assert room.get("lamp") == "/room/lamp"
    with pytest.raises(GenericError, match=r"'container\.lamp' is not writable"):
        room.set("lamp", "/room")
    with pytest.raises(GenericError, match=r"'container\.chair' not found"):
        room.get("chair")

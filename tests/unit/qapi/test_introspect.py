from __future__ import annotations

from typing import Any

from varan.qapi.introspect import introspect
from varan.qapi.load import load_text


def _entities(text: str, defined: frozenset[str] | None = None) -> list[dict[str, Any]]:
    return introspect(load_text(text), defined)


def test_command_without_anything_takes_and_returns_the_empty_object() -> None:
    assert _entities("{ 'command': 'go' }") == [
        {"name": "go", "meta-type": "command", "arg-type": "0", "ret-type": "0"},
        {"name": "0", "meta-type": "object", "members": []},
    ]


def test_messages_come_first_then_types_in_order_of_use() -> None:
    entities = _entities(
        "{ 'struct': 'Unused', 'data': {} } { 'struct': 'Place', 'data': { 'name': 'str', '*n': 'uint8' } }"
        "{ 'event': 'GONE', 'data': { 'to': 'Place' } } { 'command': 'go', 'returns': ['Place'] }"
    )
    assert entities == [
        {"name": "GONE", "meta-type": "event", "arg-type": "0"},
        {"name": "go", "meta-type": "command", "arg-type": "1", "ret-type": "[2]"},
        {"name": "0", "meta-type": "object", "members": [{"name": "to", "type": "2"}]},
        {"name": "1", "meta-type": "object", "members": []},
        {"name": "[2]", "meta-type": "array", "element-type": "2"},
        {
            "name": "2",
            "meta-type": "object",
            "members": [{"name": "name", "type": "str"}, {"name": "n", "type": "int", "default": None}],
        },
        {"name": "str", "meta-type": "builtin", "json-type": "string"},
        {"name": "int", "meta-type": "builtin", "json-type": "int"},
    ]


def test_union_has_a_variant_for_every_value_of_its_tag() -> None:
    entities = _entities(
        "{ 'enum': 'Kind', 'data': [ 'a', 'b' ] } { 'struct': 'Alpha', 'data': {} }"
        "{ 'union': 'Shape', 'base': { 'kind': 'Kind' }, 'discriminator': 'kind', 'data': { 'a': 'Alpha' } }"
        "{ 'command': 'draw', 'boxed': true, 'data': 'Shape' }"
    )
    by_name = {entity["name"]: entity for entity in entities}
    shape = by_name[by_name["draw"]["arg-type"]]
    assert shape["tag"] == "kind"
    assert [variant["case"] for variant in shape["variants"]] == ["a", "b"]
    empty = shape["variants"][1]["type"]
    assert by_name[empty] == {"name": empty, "meta-type": "object", "members": []}
    assert empty == by_name["draw"]["ret-type"]


def test_enum_alternate_and_features_are_told() -> None:
    entities = _entities(
        "{ 'enum': 'Kind', 'data': [ 'a', { 'name': 'b', 'features': [ 'unstable' ] } ] }"
        "{ 'alternate': 'Ref', 'data': { 'k': 'Kind', 'n': 'null' } }"
        "{ 'command': 'go', 'allow-oob': true, 'features': [ 'deprecated' ],"
        "  'data': { '*r': { 'type': 'Ref', 'features': [ 'unstable' ] } } }"
    )
    assert entities[0]["allow-oob"] is True
    assert entities[0]["features"] == ["deprecated"]
    assert entities[1]["members"] == [{"name": "r", "type": "2", "default": None, "features": ["unstable"]}]
    assert entities[3] == {"name": "2", "meta-type": "alternate", "members": [{"type": "3"}, {"type": "null"}]}
    assert entities[4] == {
        "name": "3",
        "meta-type": "enum",
        "members": [{"name": "a"}, {"name": "b", "features": ["unstable"]}],
        "values": ["a", "b"],
    }


def test_a_list_of_itself_is_told_once() -> None:
    entities = _entities("{ 'struct': 'Tree', 'data': { 'of': [ 'Tree' ] } } { 'command': 'go', 'returns': ['Tree'] }")
    names = [entity["name"] for entity in entities]
    assert len(names) == len(set(names))
    assert all(names)


_CONDITIONAL = (
    "{ 'command': 'a', 'if': { 'all': [ 'X', { 'not': 'Y' } ] } } { 'command': 'b', 'if': { 'any': [ 'X', 'Y' ] } }"
    "{ 'command': 'c', 'data': { 'm': { 'type': 'int', 'if': 'Y' } } }"
)


def test_conditions_are_evaluated_with_the_defined_symbols() -> None:
    def messages(*defined: str) -> list[str]:
        return [e["name"] for e in _entities(_CONDITIONAL, frozenset(defined)) if e["meta-type"] == "command"]

    assert messages() == ["c"]
    assert messages("X") == ["a", "b", "c"]
    assert messages("X", "Y") == ["b", "c"]


def test_conditional_members_go_with_their_condition() -> None:
    for defined, count in ((frozenset[str](), 0), (frozenset({"Y"}), 1), (None, 1)):
        entities = _entities(_CONDITIONAL, defined)
        [arguments] = [e["arg-type"] for e in entities if e["name"] == "c"]
        assert [len(e["members"]) for e in entities if e["name"] == arguments] == [count]

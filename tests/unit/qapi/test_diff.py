from __future__ import annotations

from varan.qapi.diff import diff
from varan.qapi.load import load_text

_OLD = """
{ 'enum': 'Kind', 'data': [ 'a', 'b' ] }
{ 'struct': 'Place', 'data': { 'name': 'str', 'x': 'int', '*z': 'int' } }
{ 'alternate': 'Ref', 'data': { 's': 'str', 'n': 'null' } }
{ 'command': 'go', 'data': { 'to': 'str' }, 'returns': 'Place' }
{ 'command': 'stop' }
{ 'event': 'GONE', 'data': 'Place' }
"""
_NEW = """
{ 'enum': 'Kind', 'data': [ 'b', 'c' ] }
{ 'struct': 'Place', 'data': { 'name': 'str', 'x': 'uint8', 'z': 'int' } }
{ 'alternate': 'Ref', 'data': { 's': 'str', 'k': 'Place' } }
{ 'command': 'go', 'data': { '*to': 'str', '*via': 'str' }, 'returns': [ 'Place' ] }
{ 'command': 'come' }
{ 'event': 'GONE' }
"""


def test_equal_schemas_do_not_differ() -> None:
    assert diff(load_text(_OLD), load_text(_OLD)) == []


def test_every_kind_of_difference_is_told() -> None:
    assert [str(change) for change in diff(load_text(_OLD), load_text(_NEW))] == [
        "- command 'stop'",
        "~ command 'go': member 'to': has become optional",
        "+ command 'go': member 'via'",
        "~ command 'go': returns [Place], not Place",
        "+ command 'come'",
        "- event 'GONE': member 'name'",
        "- event 'GONE': member 'x'",
        "- event 'GONE': member 'z'",
        "- type 'Kind': value 'a'",
        "+ type 'Kind': value 'c'",
        "~ type 'Place': member 'x': is uint8, not int",
        "~ type 'Place': member 'z': has become mandatory",
        "- type 'Ref': branch 'n'",
        "+ type 'Ref': branch 'k'",
    ]

from __future__ import annotations

from varan.qapi.docs import reference
from varan.qapi.load import load_text

_SCHEMA = """
##
# = Walking
#
# See @go.
##

##
# @Place:
#
# Somewhere.
#
# @name: what people | call it
#
# Since: 1.0
##
{ 'struct': 'Place', 'data': { 'name': 'str', '*x': { 'type': 'int', 'if': 'HAVE_X' } } }

##
# @go:
#
# Go to a @Place.
#
# @to: where
#
# Features:
# @deprecated: walk
#
# Returns: where one is then
#
# Errors:
#     - If tired, LegsTired
#
# Example:
#
# -> { "execute": "go" }
# <- { "return": {} }
#
# Since: 1.1
# Removed: 3.0
##
{ 'command': 'go', 'data': { 'to': 'str' }, 'returns': [ 'Place' ], 'features': [ 'deprecated' ] }
"""

_EXPECTED = """\
# Manual

## Walking

See `go`.

### `Place` (struct)

Somewhere.

| Member | Type | Meaning |
| --- | --- | --- |
| `name` | str | what people \\| call it |
| `x` | int, optional | (if HAVE_X) |

Since 1.0.

### `go` (command)

Go to a `Place`.

| Member | Type | Meaning |
| --- | --- | --- |
| `to` | str | where |

Returns list of `Place`: where one is then

Errors:

- If tired, LegsTired

Example:

```
-> { "execute": "go" }
<- { "return": {} }
```

Feature `deprecated`: walk

Since 1.1, removed in 3.0.
"""


def test_reference_says_what_the_comments_and_definitions_say() -> None:
    assert reference(load_text(_SCHEMA), "Manual") == _EXPECTED


def test_union_enum_alternate_and_event_are_described() -> None:
    text = reference(
        load_text(
            "{ 'enum': 'Kind', 'data': [ 'a' ] } { 'struct': 'Alpha', 'data': {} }"
            "{ 'union': 'Shape', 'base': { 'kind': 'Kind' }, 'discriminator': 'kind', 'data': { 'a': 'Alpha' } }"
            "{ 'alternate': 'Ref', 'data': { 's': 'str', 'o': 'Shape' } }"
            "{ 'event': 'DRAWN', 'boxed': true, 'data': 'Shape' }"
        )
    )
    assert "- If `kind` is `a`: the members of `Alpha`" in text
    assert "- str\n- `Shape`" in text
    assert "| `a` |" in text
    assert "### `DRAWN` (event)\n\nThe members of `Shape`." in text


def test_nested_members_of_the_old_dialect_have_dotted_names() -> None:
    text = reference(load_text("{ 'type': 'Point', 'data': { 'in': { '*a': 'int' } } }"))
    assert "| `in` | object |" in text
    assert "| `in.a` | int, optional |" in text

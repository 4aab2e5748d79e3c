from __future__ import annotations

import pytest

from varan.api.commands import COMMANDS
from varan.qapi.load import load_text
from varan.qapi.profiles import exists_in, select, version_key, versions

_SCHEMA = """
##
# @old:
# Since: 0.14
# Removed: 6.0
##
{ 'command': 'old' }
##
# @new:
# @late: a latecomer (since 5.2)
# @early: a leaver (since 1.10, removed 3.0)
# Since: 1.10.0
##
{ 'command': 'new', 'data': { '*late': 'int', '*early': 'int' } }
{ 'command': 'ever' }
"""


def test_versions_compare_by_number() -> None:
    assert version_key("1.10") > version_key("1.9")
    assert version_key("0.14.0") == version_key("0.14")
    with pytest.raises(ValueError):
        version_key("new")


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("0.13", ["ever"]),
        ("0.14", ["old", "ever"]),
        ("1.9", ["old", "ever"]),
        ("1.10", ["old", "new", "ever"]),
        ("5.2", ["old", "new", "ever"]),
        ("6.0", ["new", "ever"]),
        (None, ["new", "ever"]),
    ],
)
def test_select_takes_what_the_version_had(version: str | None, names: list[str]) -> None:
    assert list(select(load_text(_SCHEMA).commands, version)) == names


def test_members_have_dates_of_their_own() -> None:
    arguments = load_text(_SCHEMA).commands["new"].arguments
    assert arguments is not None
    members = {member.name: member for member in arguments.members}
    assert not exists_in(members["late"], "5.1")
    assert exists_in(members["late"], "5.2")
    assert exists_in(members["early"], "2.12")
    assert not exists_in(members["early"], "3.0")


def test_versions_lists_every_change() -> None:
    assert versions(load_text(_SCHEMA).commands.values()) == ["0.14", "1.10.0", "6.0"]


def test_generated_table_can_be_filtered() -> None:
    old, new = select(COMMANDS, "1.0"), select(COMMANDS, None)
    assert "query-cpus" in old
    assert "query-cpus" not in new
    assert "query-qmp-schema" in new
    assert "query-qmp-schema" not in old

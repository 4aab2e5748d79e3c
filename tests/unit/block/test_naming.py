"""Names of nodes and images."""

from __future__ import annotations

import pytest

from varan.block import naming


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("a.raw", None),
        ("/a:b", None),
        ("./nbd:x", None),
        ("nbd:x", "nbd"),
        ("file:a", "file"),
        (":a", None),
        ("", None),
    ],
)
def test_a_colon_before_any_slash_ends_a_protocol(name: str, protocol: str | None):
    assert naming.protocol_of(name) == protocol


@pytest.mark.parametrize(
    ("base", "name", "expected"),
    [
        ("dir/top.qcow2", "base.raw", "dir/base.raw"),
        ("top.qcow2", "base.raw", "base.raw"),
        ("file:dir/top", "base", "dir/base"),
        ("dir/top", "/abs/base", "/abs/base"),
        ("dir/top", "nbd:host:1", "nbd:host:1"),
        ("dir/top", "./a:b", "dir/./a:b"),
        ("http://host/dir/top", "base", "http://host/dir/base"),
        ("json:{}", "base", None),
        ("json:{}", "/base", "/base"),
    ],
)
def test_relative_names_count_from_the_directory_of_the_image(base: str, name: str, expected: str | None):
    assert naming.relative_to(base, name) == expected


def test_automatic_names_are_none_that_a_user_can_give():
    names = naming.AutomaticNames()
    first, second = names.next(), names.next()
    assert first != second
    assert not naming.is_node_name(first)


@pytest.mark.parametrize(
    ("name", "good"), [("disk0", True), ("a.b-c_d", True), ("0disk", False), ("", False), ("ä", False)]
)
def test_node_names_are_identifiers(name: str, good: bool):
    assert naming.is_node_name(name) is good

"""The option grammar of block nodes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varan.block import options
from varan.block.base import BlockError, ChildRole, ErrorKind, OpenOptions
from varan.block.formats.raw import RawDriver


def refused(call, *arguments) -> str:
    with pytest.raises(BlockError) as caught:
        call(*arguments)
    assert caught.value.kind is ErrorKind.INVALID
    return str(caught.value)


def test_nested_dotted_and_listed_options_have_one_flat_form():
    nested = {"driver": "qcow2", "file": {"driver": "file", "filename": "a"}, "list": [{"x": 1}, 2]}
    assert options.flatten(nested) == {
        "driver": "qcow2",
        "file.driver": "file",
        "file.filename": "a",
        "list.0.x": 1,
        "list.1": 2,
    }
    assert options.flatten([("file.filename", "a")]) == options.flatten({"file": {"filename": "a"}})


def test_an_option_that_is_a_value_and_a_mapping_is_refused():
    assert "'file'" in refused(options.flatten, {"file": "node", "file.filename": "a"})


def test_depth_and_number_of_options_are_bounded():
    deep: dict[str, object] = {}
    inner = deep
    for _ in range(100):
        inner["a"] = {}
        inner = inner["a"]  # type: ignore[assignment]
    inner["a"] = 1
    assert "deeply" in refused(options.flatten, deep)
    assert "deeply" in refused(options.flatten, {"a." * 100 + "b": 1})
    assert "more than" in refused(options.flatten, {"a": list(range(10000))})


def test_a_json_name_is_options_and_options_beside_it_win():
    name = 'json:{"driver":"raw","file":{"filename":"a"},"offset":1}'
    assert options.expand({"filename": name, "offset": "2"}) == {"driver": "raw", "file.filename": "a", "offset": "2"}


@pytest.mark.parametrize("name", ["json:", "json:[]", "json:{", "json:" + "[" * 5000, 'json:{"filename":"json:{}"}'])
def test_a_bad_json_name_is_refused(name: str):
    refused(options.expand, {"filename": name})


def test_options_that_beside_a_json_name_contradict_it_are_refused():
    refused(options.expand, {"filename": 'json:{"file":"node"}', "file.filename": "a"})


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("on", "bool", True),
        (False, "bool", False),
        ("1M", "size", 1 << 20),
        (5, "size", 5),
        ("0x10", "int", 16),
        (-1, "int", -1),
        ("x", "str", "x"),
    ],
)
def test_values_are_converted_to_what_is_declared(value: object, kind: str, expected: object):
    assert options.convert("o", value, kind) == expected


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("maybe", "bool"),
        (1, "bool"),
        ("x", "size"),
        (-1, "size"),
        (1 << 64, "size"),
        (True, "int"),
        (1, "str"),
        (None, "str"),
        ("9" * 5000, "int"),
        (1.5, "int"),
    ],
)
def test_values_of_another_kind_are_refused_by_name(value: object, kind: str):
    assert "'o'" in refused(options.convert, "o", value, kind)


def test_common_options_are_taken_and_the_rest_is_left():
    flat = {"read-only": "on", "cache.direct": True, "discard": "unmap", "detect-zeroes": "unmap", "offset": "1"}
    common = options.take_common(flat, OpenOptions(cache_no_flush=True))
    assert (common.read_only, common.cache_direct, common.discard, common.cache_no_flush) == (True, True, True, True)
    assert flat == {"offset": "1"}


@pytest.mark.parametrize(
    "flat",
    [
        {"discard": "perhaps"},
        {"detect-zeroes": "sometimes"},
        {"detect-zeroes": "unmap"},
        {"node-name": "#mine"},
        {"node-name": "a b"},
        {"node-name": "n" * 32},
        {"force-share": "on"},
    ],
)
def test_bad_common_options_are_refused(flat: dict[str, object]):
    refused(options.take_common, flat, OpenOptions())


def test_a_drivers_options_are_typed_and_unknown_ones_refused_by_name():
    assert options.driver_options({"offset": "1k"}, RawDriver) == {"offset": 1024}
    assert refused(options.driver_options, {"color": "red"}, RawDriver) == "block driver 'raw' has no option 'color'"


def test_a_backing_file_is_read_only_and_inherits_the_cache_mode():
    parent = OpenOptions(cache_direct=True, discard=True, auto_read_only=True)
    backing = options.inherited(parent, ChildRole("backing"))
    assert (backing.read_only, backing.auto_read_only, backing.discard, backing.cache_direct) == (
        True,
        False,
        False,
        True,
    )
    file = options.inherited(parent, ChildRole("file"))
    assert (file.read_only, file.auto_read_only, file.discard) == (False, True, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=30,
)


@given(st.dictionaries(st.sampled_from(["filename", "file", "driver", "file.filename", "x", "", "."]), JSON))
def test_any_json_name_gives_options_or_a_block_error(value: dict[str, object]):
    try:
        flat = options.expand({"filename": options.json_name(value)})
        options.take_common(flat, OpenOptions())
        options.driver_options(flat, RawDriver)
    except BlockError:
        pass


@given(st.text(max_size=40))
def test_any_text_after_json_gives_options_or_a_block_error(text: str):
    try:
        flat = options.parse_json_name("json:" + text)
    except BlockError:
        return
    assert isinstance(json.loads(text), dict)
    assert all(not isinstance(value, dict | list) for value in flat.values())

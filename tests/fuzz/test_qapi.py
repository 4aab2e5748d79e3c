"""Whatever a schema file holds, the compiler gives a model or a QapiError; and what it gives a model for can be
introspected, documented and (but for one construct) generated from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.qapi.corpus import cases

from varan.qapi.diff import diff
from varan.qapi.docs import reference
from varan.qapi.errors import QapiError
from varan.qapi.generate import generate
from varan.qapi.introspect import introspect
from varan.qapi.load import load_schema, load_text

_SEEDS = [case.schema for case in cases() if case.schema.strip()]
_PIECES = re.compile(r"'[^'\n]*'|##|@[\w.-]+:?|\w+|\s+|.", re.DOTALL)
_VOCABULARY = sorted({piece for seed in _SEEDS for piece in _PIECES.findall(seed)})

_MAX_ERRORS = 1000
_CANNOT_GENERATE = ("is a union itself", "contains itself", "its data is a union")


def _compile(text: str, lenient: bool) -> None:
    try:
        schema = load_text(text, "fuzz.json", lenient)
    except QapiError as error:
        assert 1 <= len(error.problems) < _MAX_ERRORS
        lines = text.count("\n") + 1
        assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in error.problems)
        assert "Traceback" not in str(error)
        return
    introspect(schema)
    introspect(schema, frozenset())
    reference(schema)
    assert diff(schema, schema) == []
    try:
        files = generate(schema)
    except QapiError as error:
        assert any(text in str(error) for text in _CANNOT_GENERATE)
        return
    for name, source in files.items():
        if name.endswith(".py"):
            compile(source, name, "exec")


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    """One or two good or bad schemas, with some pieces deleted, doubled, swapped or replaced."""
    chosen = draw(st.lists(st.sampled_from(_SEEDS), min_size=1, max_size=2))
    pieces = [piece for seed in chosen for piece in _PIECES.findall(seed)]
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(pieces) - 1))
        action = draw(st.sampled_from(("delete", "double", "swap", "replace", "insert", "cut")))
        if action == "delete" and len(pieces) > 1:
            del pieces[at]
        elif action == "double":
            pieces.insert(at, pieces[at])
        elif action == "swap":
            other = draw(st.integers(0, len(pieces) - 1))
            pieces[at], pieces[other] = pieces[other], pieces[at]
        elif action == "replace":
            pieces[at] = draw(st.sampled_from(_VOCABULARY))
        elif action == "insert":
            pieces.insert(at, draw(st.sampled_from(_VOCABULARY)))
        elif action == "cut":
            pieces = pieces[: at + 1]
    return "".join(pieces)


@settings(max_examples=400, deadline=None)
@given(_mutated(), st.booleans())
def test_mutated_schema_gives_a_model_or_an_error(text: str, lenient: bool) -> None:
    _compile(text, lenient)


@settings(max_examples=200, deadline=None)
@given(st.text(), st.booleans())
def test_any_text_gives_a_model_or_an_error(text: str, lenient: bool) -> None:
    _compile(text, lenient)


_NAMES = st.sampled_from(("int", "any", "null", "A1a", "Bb", "Cc", "Dd", "a", "*a", "x-c", "GONE", "visitor", ""))
_KEYWORDS = ("data", "base", "discriminator", "returns", "boxed", "if", "features", "gen", "type", "name", "all", "not")
_KEYS = st.sampled_from((*_KEYWORDS, "a", "b"))
_VALUES = st.recursive(
    _NAMES | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS | _NAMES, inner, max_size=4),
    max_leaves=12,
)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_written(key)}: {_written(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else f"'{value}'"


_DEFINITIONS = st.builds(
    lambda meta, name, rest: {meta: name} | rest,
    st.sampled_from(("enum", "struct", "union", "alternate", "command", "event", "type", "pragma", "include")),
    _NAMES | _VALUES,
    st.dictionaries(_KEYS, _VALUES, max_size=4),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_DEFINITIONS, max_size=5))
def test_well_formed_nonsense_gives_a_model_or_an_error(definitions: list[dict[str, Any]]) -> None:
    _compile("\n".join(map(_written, definitions)), False)


_MEMBER_TYPES = st.sampled_from(("int", "str", "Aa", "Bb", "Cc", "Dd", "Ee"))
_MEMBERS = st.dictionaries(
    st.sampled_from(("a", "*b", "c", "*d", "e-f")), _MEMBER_TYPES | _MEMBER_TYPES.map(lambda name: [name]), max_size=3
)


@st.composite
def _tangled(draw: st.DrawFn) -> str:
    """Types that refer to one another in every direction."""
    enum = {"enum": "Kk", "data": ["k1", "k2"]}
    branches = draw(st.dictionaries(st.sampled_from(("k1", "k2")), st.sampled_from(("Aa", "Bb", "Dd")), min_size=1))
    base = {"kind": "Kk", "*m": draw(_MEMBER_TYPES)}
    union = {"union": "Dd", "base": base, "discriminator": "kind", "data": branches}
    alternate = {"alternate": "Ee", "data": {"s": "str", "o": draw(_MEMBER_TYPES), "l": [draw(_MEMBER_TYPES)]}}
    structs: list[dict[str, Any]] = [{"struct": name, "data": draw(_MEMBERS)} for name in ("Aa", "Bb", "Cc")]
    for struct in structs:
        if draw(st.booleans()):
            struct["base"] = draw(st.sampled_from(("Aa", "Bb", "Cc")))
    command = {"command": "go", "data": draw(_MEMBERS), "returns": [draw(st.sampled_from(("Aa", "Bb", "Dd")))]}
    order = draw(st.permutations([enum, union, alternate, *structs, command]))
    return "\n".join(map(_written, order))


@settings(max_examples=400, deadline=None)
@given(_tangled())
def test_types_that_refer_to_one_another_give_a_model_or_an_error(text: str) -> None:
    _compile(text, False)


def test_deep_nesting_is_refused_without_recursion() -> None:
    for opening in ("{ 'struct': 'A', 'data': " + "{ 'a': " * 100_000, "{ 'enum': 'A', 'data': " + "[" * 100_000):
        _compile(opening, False)
    _compile("{ 'command': 'a', 'if': " + "{ 'not': " * 30 + "'X'" + "}" * 31, False)


def test_long_chain_of_bases_is_refused_without_recursion() -> None:
    chain = [f"{{ 'struct': 'S{n}a', 'base': 'S{n - 1}a', 'data': {{}} }}" for n in range(1, 3000)]
    _compile("\n".join(["{ 'struct': 'S0a', 'data': { 'x': 'int' } }", *chain]), False)


def test_long_chain_of_includes_is_refused_without_recursion(tmp_path: Path) -> None:
    for n in range(500):
        (tmp_path / f"{n}.json").write_text(f"{{ 'include': '{n + 1}.json' }}")
    with pytest.raises(QapiError, match="include one another too deeply"):
        load_schema(tmp_path / "0.json")


def test_long_stretches_of_anything_take_linear_time() -> None:
    for piece in (" ", "\n", "#", "#\n", "'", "a", "{", "\\", "'a' "):
        _compile(piece * 200_000, False)
        _compile(piece * 200_000 + "\x00", False)

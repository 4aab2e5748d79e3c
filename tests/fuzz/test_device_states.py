"""Saved state is hostile input: a board takes a corrupted one or refuses it, and works on."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.test_device_accesses import MAPPED, make
from tests.support.bus import Bus

from varan.core.state import StateError

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-2, 300),
    st.none(),
    st.booleans(),
    st.text(max_size=3),
    st.lists(st.integers(-1, 256), max_size=40),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def corrupt(value: Any, source: random.Random, replacement: Any) -> Any:
    """`value` with one randomly chosen part of it replaced."""
    children = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not children or source.random() < 0.1:
        return replacement
    at = source.choice(children)
    value[at] = corrupt(value[at], source, replacement)
    return value


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False), st.lists(VALUES, min_size=1, max_size=4))
def test_corrupted_state_is_refused_or_harmless(source: random.Random, replacements: list[Any]) -> None:
    bus = Bus()
    pc = make(bus)
    saved = pc.save()
    for replacement in replacements:
        name = source.choice(sorted(saved))
        saved[name] = corrupt(saved[name], source, replacement)
    try:
        pc.load(saved)
    except StateError:
        pc.close()
        return
    for _ in range(200):
        port = source.choice(MAPPED)
        if source.random() < 0.5:
            assert 0 <= pc.ports.read(port, 1) <= 0xFF
        else:
            pc.ports.write(port, 1, source.randrange(256))
        bus.stall(source.randrange(10**9))
    pc.save()
    pc.close()

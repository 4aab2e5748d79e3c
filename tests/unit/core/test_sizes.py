"""Sizes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varan.core.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("256", 1, 256),
        ("256", 1 << 20, 256 << 20),
        ("256M", 1 << 20, 256 << 20),
        ("262144k", 1, 256 << 20),
        ("1G", 1, 1 << 30),
        ("1.5G", 1, 3 << 29),
        ("0.5", 1 << 20, 1 << 19),
        ("2t", 1, 2 << 40),
        ("512b", 1 << 20, 512),
        ("0x1000", 1, 4096),
        ("1.5", 1, None),
        ("", 1, None),
        ("-1", 1, None),
        ("12z", 1, None),
        ("0x1M", 1, None),
        ("1e3", 1, None),
        ("٣", 1, None),
        ("16E", 1, None),
        ("9" * 5000, 1, None),
    ],
)
def test_size(text: str, unit: int, expected: int | None) -> None:
    assert parse_size(text, unit) == expected


@given(st.text(max_size=30))
def test_size_of_any_text_is_bounded_or_none(text: str) -> None:
    size = parse_size(text)
    assert size is None or 0 <= size < 1 << 64

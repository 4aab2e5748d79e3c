"""Every rule of the language has a case of its own."""

from __future__ import annotations

import pytest
from tests.unit.qapi.corpus import Case, cases, expected

_CASES = cases()
_EXPECTED = expected()


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_case_gives_what_is_expected(case: Case) -> None:
    assert case.result() == _EXPECTED[case.name]


def test_names_of_cases_are_unique_and_all_expectations_are_used() -> None:
    names = [case.name for case in _CASES]
    assert len(set(names)) == len(names)
    assert set(names) == set(_EXPECTED)

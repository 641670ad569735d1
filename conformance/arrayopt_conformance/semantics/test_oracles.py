"""Every rule computes, on every library, what its paper says: 1e-12 from its oracle, in every case."""

from __future__ import annotations

from functools import partial

import pytest

from arrayopt_conformance import effort
from arrayopt_conformance.libraries import Library, double
from arrayopt_conformance.rules import Rule
from arrayopt_conformance.semantics.trajectories import ENTRIES, FEW, LARGE, SMALL, Shapes, check_case, failures


def broken(rule: Rule, library: Library, dtype: str, cases: list[str], shapes: Shapes = SMALL) -> str:
    """The cases that disagree with the oracle."""
    with double(library):
        return failures((case, partial(check_case, rule, case, library, dtype, shapes)) for case in cases)


def test_the_rule_has_an_oracle(rule: Rule) -> None:
    assert rule.oracle is not None, f"{rule}: no function of its name in oracles"
    assert rule.oracle.cases


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_every_case_agrees_with_the_oracle(rule: Rule, library: Library, dtype: str) -> None:
    """On NumPy, and the first and last elsewhere."""
    cases = effort.cases(rule, library)
    if effort.is_of_entries(rule) and library.name != effort.FIRST:
        assert not broken(rule, library, dtype, cases, ENTRIES)
    else:
        shapes = SMALL if dtype == "float64" and not rule.wraps else FEW  # to a wrapper leaves are leaves
        assert not broken(rule, library, dtype, cases, shapes)


def test_a_large_leaf_agrees_with_the_oracle(rule: Rule, library: Library) -> None:
    if rule.wraps or effort.is_of_entries(rule):
        pytest.skip("the size of a leaf is nothing to it")
    assert not broken(rule, library, "float64", list(rule.cases)[:1], LARGE)

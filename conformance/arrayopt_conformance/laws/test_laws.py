"""Every law, for every rule with every set of arguments of its oracle, on every library."""

from __future__ import annotations

import pytest

from arrayopt_conformance.laws import Law, laws
from arrayopt_conformance.laws.cases import recipes
from arrayopt_conformance.libraries import Library, libraries
from arrayopt_conformance.rules import Rule


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each law on each of the libraries it speaks of."""
    chosen = metafunc.config.getoption("--arrayopt-backend") or list(libraries())
    found = [library for name, library in libraries().items() if name in chosen]
    pairs = [(law, library) for law in laws() for library in found if law.speaks_of(library)]
    metafunc.parametrize(("law", "on"), pairs, ids=[f"{law}-{library}" for law, library in pairs])


def test_law(law: Law, rule: Rule, on: Library) -> None:
    reason = rule.oracle.exempt.get(law.name)
    if reason:
        pytest.skip(reason)
    for name, make in recipes(rule, law, on):
        try:
            law.holds(make, on)
        except Exception as error:
            error.add_note(f"{rule}, case {name!r}: {make.arguments}")
            raise

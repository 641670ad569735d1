"""Every law, for every rule with the sets of arguments of its oracle, on every library; see `effort`."""

from __future__ import annotations

import pytest

from arrayopt_conformance.laws import Law, laws
from arrayopt_conformance.laws.cases import home, recipes
from arrayopt_conformance.libraries import Library, libraries
from arrayopt_conformance.rules import Rule, everybody


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each law on each of the libraries it speaks of."""
    chosen = metafunc.config.getoption("--arrayopt-backend") or list(libraries())
    found = [library for name, library in libraries().items() if name in chosen]
    tried = [(law, on, rule) for law in laws() for rule in everybody() for on in home(rule, law, found)]
    metafunc.parametrize(("law", "on", "rule"), tried, ids=[f"{law}-{on}-{rule}" for law, on, rule in tried])


def test_law(law: Law, on: Library, rule: Rule) -> None:
    reason = rule.oracle.exempt.get(law.name)
    if reason:
        pytest.skip(reason)
    for name, make in recipes(rule, law, on):
        try:
            law.holds(make, on)
        except Exception as error:
            error.add_note(f"{rule}, case {name!r}: {make.arguments}")
            raise

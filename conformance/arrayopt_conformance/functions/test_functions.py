"""Every function of arrays in all its cases is held to every law, on every library."""

from __future__ import annotations

import pytest

from arrayopt_conformance.functions import every
from arrayopt_conformance.functions.laws import LAWS, Law
from arrayopt_conformance.libraries import Library, libraries


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each law on each of the libraries it speaks of, for each function."""
    if "law" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--arrayopt-backend") or list(libraries())
    found = [library for name, library in libraries().items() if name in chosen]
    # function by function: what one law computes, or makes a library compile, the next finds done
    triples = [(law, name, on) for name in every() for on in found for law in LAWS if law.speaks_of(on)]
    metafunc.parametrize(("law", "name", "on"), triples, ids=[f"{law}-{name}-{on}" for law, name, on in triples])


def test_law(law: Law, name: str, on: Library) -> None:
    for case in law.cases(every()[name], on):
        try:
            law.holds(case, on)
        except Exception as error:
            error.add_note(str(case))
            raise

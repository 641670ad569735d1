"""Every law can be broken: each has a transform planted that breaks it. And ``check`` says so."""

from __future__ import annotations

import doctest
import sys

import pytest

import arrayopt
from arrayopt_conformance import check
from arrayopt_conformance.harness.planted import PLANTED, counting_in_secret, halved_in_place, stateless
from arrayopt_conformance.laws import laws
from arrayopt_conformance.libraries import libraries
from arrayopt_conformance.oracles import adam


def test_every_law_has_somebody_who_breaks_it() -> None:
    assert PLANTED.keys() == {str(law) for law in laws()}


@pytest.mark.parametrize("name", PLANTED)
def test_a_law_notices_who_breaks_it(name: str) -> None:
    library, make = PLANTED[name]
    if library not in libraries():
        pytest.skip(f"needs {library}")
    (law,) = [law for law in laws() if str(law) == name]
    broken = False
    try:
        law.holds(make, libraries()[library])
    except Exception:  # a law may be broken in any way; that good transforms keep it, test_laws shows
        broken = True
    assert broken


def test_check_accepts_what_is_right() -> None:
    check(arrayopt.chain(arrayopt.clip_by_global_norm(1.0), arrayopt.adam(0.1)))


def test_check_names_the_laws_that_are_broken() -> None:
    with pytest.raises(AssertionError, match=r"numpy: purity\.inputs_stay_as_they_are: update writes"):
        check(stateless(halved_in_place))
    with pytest.raises(AssertionError, match=r"torch: purity\.runs_repeat_to_the_bit"):
        check(counting_in_secret, library="torch")


def test_check_compares_with_an_oracle() -> None:
    check(arrayopt.adam, arguments={"learning_rate": 0.1}, oracle=adam.oracle)
    with pytest.raises(AssertionError, match=r"numpy: oracle: the update of w in step 0 is off"):
        check(arrayopt.sgd, arguments={"learning_rate": 0.1}, oracle=adam.oracle)


def test_the_example_of_check_runs() -> None:
    assert not doctest.testmod(sys.modules[check.__module__]).failed

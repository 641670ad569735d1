"""Every schedule has its oracle's value at every step, on Python ints and on 0-d arrays of every library."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from arrayopt_conformance.libraries import Library, double, has, libraries
from arrayopt_conformance.oracles import schedule_cases, schedules
from arrayopt_conformance.rules import made
from arrayopt_conformance.semantics import optax_rules
from arrayopt_conformance.semantics.trajectories import compare, failures

STEPS = range(41)
CASES = schedule_cases.CASES


def wanted(case: str) -> list[float]:
    """The oracle's values."""
    value = schedules.function(CASES[case])
    return [value(k) for k in STEPS]


def check(schedule: Any, counts: list[Any], library: Library, case: str, tolerance: float) -> None:
    """Holds a schedule to the oracle, relative to the largest value it takes."""
    largest = max(map(abs, wanted(case)))
    for k, (count, value) in enumerate(zip(counts, wanted(case), strict=True)):
        got = schedule(count)
        got = np.asarray(got if isinstance(got, float) else library.numpy(got))  # a constant is what it was made of
        compare(f"step {k}", got, np.asarray(value), tolerance * largest)


@pytest.mark.parametrize("case", CASES)
def test_a_python_int_gives_a_python_float(case: str) -> None:
    schedule = made(CASES[case])
    assert all(type(schedule(k)) is float for k in STEPS)
    check(schedule, list(STEPS), libraries()["numpy"], case, 1e-15)


def broken(library: Library, tolerance: float) -> str:
    """The cases that are off on 0-d arrays of a library."""
    counts = [library.asarray(np.asarray(k, dtype=np.int32), "int32") for k in STEPS]
    return failures((case, partial(check, made(CASES[case]), counts, library, case, tolerance)) for case in CASES)


def test_an_integer_array_gives_an_array(library: Library) -> None:
    with double(library):
        assert not broken(library, 1e-15)


@pytest.mark.skipif(not has("jax"), reason="needs jax")
def test_jax_computes_in_single_precision_unless_asked() -> None:
    assert not broken(libraries()["jax"], 1e-6)


@pytest.mark.skipif(not (has("jax") and has("optax")), reason="needs jax and optax")
@pytest.mark.parametrize("case", CASES)
def test_optax_has_the_same_values(case: str) -> None:
    theirs = optax_rules.narrow_schedule(CASES[case])

    def number(k: int) -> float:
        return float(theirs(k))

    with double(libraries()["jax"]):
        check(number, list(STEPS), libraries()["numpy"], case, 1e-14)

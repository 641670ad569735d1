"""Functions that Optax has too mean what they mean there: value, derivative, dtype. Torch's derivatives are JAX's."""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import Any

import numpy as np
import pytest

import arrayopt
from arrayopt import dtypes
from arrayopt_conformance.functions import Case, every
from arrayopt_conformance.functions.laws import DOUBLE, form
from arrayopt_conformance.functions.runs import answer, slopes
from arrayopt_conformance.harness.compare import assert_near
from arrayopt_conformance.libraries import has, libraries

needs_optax = pytest.mark.skipif(not (has("jax") and has("optax")), reason="needs jax and optax")
needs_both = pytest.mark.skipif(not (has("jax") and has("torch")), reason="needs jax and torch")


@cache
def theirs(case: Case) -> Case:
    """The case with Optax's function in place of ours."""
    return case.but(instead=case.within(importlib.import_module("optax")))


def shared() -> dict[str, list[Case]]:
    """The cases of every function, without those that Optax answers otherwise."""
    found = {name: [case for case in cases if case.peer] for name, cases in every().items()}
    return {name: cases for name, cases in found.items() if cases}


@needs_optax
@pytest.mark.parametrize("name", shared())
def test_values_and_derivatives_are_those_of_optax(name: str) -> None:
    jax = libraries()["jax"]
    for k, case in enumerate(shared()[name]):
        # where it is smooth the derivative is the oracle's, whose answer is Optax's: one is compiled to be sure
        wanted = theirs(case if k == 0 or not case.smooth else case.but(by=()))
        assert_near(answer(case, jax), answer(wanted, jax), DOUBLE, f"{case}: the answer ")
        for place, mine, other in zip(wanted.by, slopes(case, jax), slopes(wanted, jax), strict=False):
            assert_near(mine, other, DOUBLE, f"{case}: by argument {place} the derivative ")


@needs_optax
@pytest.mark.parametrize("name", shared())
def test_dtypes_are_those_of_optax(name: str) -> None:
    jax = libraries()["jax"]
    case = shared()[name][0]
    for dtype in ("float32", "bfloat16", "float16"):
        found, wanted = [arrayopt.tree.leaves(form(each.on(jax, dtype), jax)) for each in (case, theirs(case))]
        assert [dtypes.name(x.dtype) for x in found] == [dtypes.name(x.dtype) for x in wanted], str(case)


@needs_both
@pytest.mark.parametrize("name", every())
def test_the_derivatives_of_torch_are_those_of_jax(name: str) -> None:
    jax, torch = libraries()["jax"], libraries()["torch"]
    for case in every()[name]:
        for place, mine, other in zip(case.by, slopes(case, torch), slopes(case, jax), strict=True):
            assert np.all(np.isfinite(other)), f"{case}: the derivative is {other}"
            assert_near(mine, other, DOUBLE, f"{case}: by argument {place} the derivative ")


SAME_PROGRAM = ("softmax_cross_entropy", "softmax_cross_entropy_with_integer_labels", "poly_loss_cross_entropy")


def operations(case: Case) -> list[str]:
    """The operations that XLA makes of a loss and its derivative."""
    jax = importlib.import_module("jax")

    def loss(x: Any) -> Any:
        return case.function(x, *case.args[1:], **case.kwargs).mean()

    program = jax.jit(jax.value_and_grad(loss)).lower(case.args[0]).compile().as_text()
    return sorted(re.findall(r" = \S+ ([a-z\-]+)\(", program))


@needs_optax
@pytest.mark.parametrize("name", [*SAME_PROGRAM, "sigmoid_binary_cross_entropy"])
def test_cross_entropies_are_the_programs_of_optax(name: str) -> None:
    case = every()[f"losses.{name}"][0].on(libraries()["jax"], "float32")
    ours, wanted = operations(case), operations(theirs(case))
    assert ours == wanted if name in SAME_PROGRAM else len(ours) < len(wanted)

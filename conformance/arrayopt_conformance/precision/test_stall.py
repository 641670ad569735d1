"""Averages of a 16-bit model do not stall: what double reaches under a constant gradient, the slots reach.

In bfloat16 itself b·m + (1 − b)·g stops halfway, where a step is less than half an ulp.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import arrayopt
from arrayopt_conformance import effort
from arrayopt_conformance.libraries import Library, as_is, libraries
from arrayopt_conformance.rules import Rule

STEPS = 1500
GRADIENT = np.asarray([1.0, -0.5, 0.375, 24.0])  # the same in every dtype


def slots(tx: Any, library: Library, dtype: str, steps: int) -> list[Any]:
    """The floating leaves of the state after so many steps of one gradient."""
    update: Callable[..., Any] = library.modes.get("jit", as_is)(tx.update)
    params = gradient = library.asarray(GRADIENT, dtype)
    state = tx.init(params)
    for _ in range(steps):
        _, state = update(gradient, state, params)
    leaves = [np.asarray(library.numpy(leaf)) for leaf in arrayopt.tree.leaves(state)]
    return [leaf for leaf in leaves if leaf.dtype.kind == "f"]


@cache
def in_double(rule: Rule) -> list[Any]:
    """The same of a model in double."""
    return slots(rule.make(**rule.usual), libraries()["numpy"], "float64", STEPS)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("rule", effort.computing(), ids=str)
def test_slots_reach_what_they_reach_in_double(rule: Rule, dtype: str) -> None:
    numpy = libraries()["numpy"]
    if dtype not in numpy.dtypes:
        pytest.skip(f"NumPy has no {dtype} here")
    if dtype == "float16" and rule.name not in effort.SAMPLE:
        pytest.skip("its slots are those of a model in bfloat16")
    for x, y in zip(slots(rule.make(**rule.usual), numpy, dtype, STEPS), in_double(rule), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_adam_reaches_its_limit(library: Library, dtype: str) -> None:
    if dtype not in library.dtypes:
        pytest.skip(f"{library} has no {dtype}")
    mu, nu = slots(arrayopt.scale_by_adam(b1=0.9, b2=0.99), library, dtype, 2 * STEPS)
    # Where (1 − b)·(g − m) is less than half an ulp of float32, m stays as well.
    np.testing.assert_array_max_ulp(mu, GRADIENT.astype(np.float32), maxulp=0.5 / (1 - 0.9) + 1)
    np.testing.assert_array_max_ulp(nu, (GRADIENT**2).astype(np.float32), maxulp=0.5 / (1 - 0.99) + 1)

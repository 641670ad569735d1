"""Adam in float32 stays within 3e-6 of Adam in float64 for 5000 steps, at every step, whatever β₂."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

import arrayopt
from arrayopt.dispatch import backends
from arrayopt_conformance.libraries import Library, libraries
from arrayopt_conformance.precision.noise import Array

STEPS, SIZE, BAR = 5000, 64, 3e-6


@cache
def gradients() -> Array:
    """Standard normal, in float32."""
    return np.random.default_rng(23).standard_normal((STEPS, SIZE)).astype(np.float32)


def updates(library: Library, b2: float, dtype: str) -> Array:
    """The update of every step, in double."""
    tx = arrayopt.scale_by_adam(b2=b2)
    gs = library.asarray(gradients(), dtype)
    state = tx.init(gs[0, :])
    if library.name == "jax":
        return np.asarray(library.modes["jit"](partial(scanned, tx))(state, gs), dtype=np.float64)
    found = np.empty((STEPS, SIZE))
    for k in range(STEPS):
        u, state = tx.update(gs[k, :], state)
        found[k] = library.numpy(u)
    return found


def scanned(tx: Any, state: Any, gs: Any) -> Any:
    """All steps in one program."""

    def step(state: Any, g: Any) -> tuple[Any, Any]:
        u, state = tx.update(g, state)
        return state, u

    return importlib.import_module("jax").lax.scan(step, state, gs)[1]


@cache
def wanted(b2: float) -> Array:
    return updates(libraries()["numpy"], b2, "float64")


@pytest.mark.parametrize("b2", [0.999, 0.9999, 0.99999])
def test_adam_stays_near_its_double(library: Library, b2: float, record_property: Callable[[str, Any], None]) -> None:
    if library.name not in backends():
        pytest.skip("computes as NumPy does, and slowly")
    error = abs(updates(library, b2, "float32") - wanted(b2)).max(axis=1)
    worst = float(np.max(error / abs(wanted(b2)).max(axis=1)))
    record_property("figure", f"largest error of float32 Adam in {STEPS} steps, b2 = {b2}, {library}: {worst:.1e}")
    assert worst <= BAR

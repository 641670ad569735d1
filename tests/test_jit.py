"""Under ``jax.jit`` the rules compile to programs no larger than a fifth beyond Optax's, and compile once."""

from __future__ import annotations

from typing import Any

import pytest

import arrayopt

jax: Any = pytest.importorskip("jax")
optax: Any = pytest.importorskip("optax")

from arrayopt_conformance.jit import WORKLOADS, Pair, operations, pairs, stepper  # noqa: E402


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: pair.name)
def test_programs_are_of_optax_size(pair: Pair) -> None:
    shapes = [*WORKLOADS["1x10M"], *[(250, 400)] * 4]
    ours = operations(pair.ours, arrayopt.apply_updates, shapes)
    theirs = operations(pair.theirs, optax.apply_updates, shapes)
    assert ours <= 1.2 * theirs, f"{ours} operations, Optax has {theirs}"


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: pair.name)
def test_a_step_compiles_once(pair: Pair) -> None:
    step = stepper(pair.ours, arrayopt.apply_updates)
    params = [jax.numpy.ones(3), jax.numpy.ones((2, 2))]
    state = pair.ours.init(params)
    for k in range(3):
        params, state = step(params, state, jax.tree.map(lambda x, k=k: x * k, params))
    assert step._cache_size() == 1

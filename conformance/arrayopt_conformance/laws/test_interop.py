"""In the company of others: Optax, Flax and Equinox use a transform of arrayopt as they would one of Optax.

Each test does the same twice, with arrayopt and with Optax, and compares where it leads.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import arrayopt
from arrayopt_conformance.harness.compare import host
from arrayopt_conformance.harness.data import SMALL, gradients, parameters
from arrayopt_conformance.libraries import Library, libraries

optax = pytest.importorskip("optax")
jax = pytest.importorskip("jax")
jnp = jax.numpy

_STEPS = 3
# Optax forms 1 - b**t in float32: at b = 0.999 that costs it 1.3e-5 of the first step.
_NEAR = 2e-5


def assert_near(ours: Any, theirs: Any) -> None:
    """Leaf by leaf as JAX takes them apart, the structure included."""
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(host(a), host(b), rtol=_NEAR, atol=_NEAR)


def library() -> Library:
    return libraries()["jax"]


def descended(tx: Any, params: Any, apply: Any, update: Any = None) -> Any:
    """The parameters after three jitted steps on the gradients at hand; ``update`` is that of `tx`, compiled."""
    state, update = tx.init(params), update or jax.jit(tx.update)
    for gs in gradients(library(), shapes=SMALL, steps=_STEPS):
        us, state = update(gs, state, params)
        params = apply(params, us)
    return params


ours, theirs = arrayopt.adamw(0.1), optax.adamw(0.1)

MIXTURES = {
    "ours in their chain": optax.chain(optax.clip_by_global_norm(1.0), ours),
    "both in our chain": arrayopt.chain(optax.clip_by_global_norm(1.0), ours),
    "theirs in our chain": arrayopt.chain(arrayopt.clip_by_global_norm(1.0), theirs),
}


@cache
def of_optax_alone() -> Any:
    params = parameters(library(), shapes=SMALL)
    return descended(optax.chain(optax.clip_by_global_norm(1.0), theirs), params, optax.apply_updates)


@pytest.mark.parametrize("mixture", MIXTURES)
def test_chains_mix(mixture: str) -> None:
    params, update = parameters(library(), shapes=SMALL), jax.jit(MIXTURES[mixture].update)
    for apply in (arrayopt.apply_updates, optax.apply_updates):
        assert_near(descended(MIXTURES[mixture], params, apply, update), of_optax_alone())


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "masked": lambda tx: optax.masked(tx, {"w": True, "s": False}),
    "MultiSteps": lambda tx: optax.MultiSteps(tx, 2),
    "apply_if_finite": lambda tx: optax.apply_if_finite(tx, 3),
    "multi_transform": lambda tx: optax.multi_transform({"a": tx, "b": optax.set_to_zero()}, {"w": "a", "s": "b"}),
    "flatten": optax.flatten,
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_their_wrappers_take_our_transforms(name: str) -> None:
    params, wrap = parameters(library(), shapes=SMALL), WRAPPERS[name]
    found = descended(wrap(ours), params, arrayopt.apply_updates)
    assert_near(found, descended(wrap(theirs), params, optax.apply_updates))


def test_their_injection_takes_our_factories() -> None:
    params = parameters(library(), shapes=SMALL)
    found = descended(optax.inject_hyperparams(arrayopt.adam)(learning_rate=0.1), params, arrayopt.apply_updates)
    wanted = descended(optax.inject_hyperparams(optax.adam)(learning_rate=0.1), params, optax.apply_updates)
    assert_near(found, wanted)


def test_our_mask_takes_their_transforms() -> None:
    params, mask = parameters(library(), shapes=SMALL), {"w": True, "s": False}
    found = descended(arrayopt.masked(theirs, mask), params, arrayopt.apply_updates)
    assert_near(found, descended(optax.masked(theirs, mask), params, optax.apply_updates))


# -- Flax and Equinox -------------------------------------------------------------------------------------------


def test_a_train_state_of_flax() -> None:
    pytest.importorskip("flax")
    train_state = importlib.import_module("flax.training.train_state")

    def trained(tx: Any) -> Any:
        state = train_state.TrainState.create(apply_fn=None, params=parameters(library(), shapes=SMALL), tx=tx)
        for gs in gradients(library(), shapes=SMALL, steps=_STEPS):
            state = jax.jit(state.__class__.apply_gradients)(state, grads=gs)
        return state.params

    assert_near(trained(ours), trained(theirs))


def test_a_model_of_equinox() -> None:
    eqx = pytest.importorskip("equinox")
    xs = jax.random.normal(jax.random.key(1), (8, 3))

    def trained(tx: Any) -> Any:
        model = eqx.nn.MLP(3, 2, 4, 1, key=jax.random.key(0))
        state = tx.init(eqx.filter(model, eqx.is_array))

        def loss(model: Any) -> Any:
            return jnp.mean(jax.vmap(model)(xs) ** 2)

        def step(model: Any, state: Any) -> Any:
            us, state = tx.update(eqx.filter_grad(loss)(model), state, eqx.filter(model, eqx.is_array))
            return eqx.apply_updates(model, us), state

        for _ in range(_STEPS):
            model, state = eqx.filter_jit(step)(model, state)
        return eqx.filter(model, eqx.is_array)

    assert_near(trained(ours), trained(theirs))


def frozen_dict() -> Any:
    pytest.importorskip("flax")
    freeze = importlib.import_module("flax.core").freeze
    return freeze({"layer": {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}})


def nnx_state() -> Any:
    pytest.importorskip("flax")
    nnx = importlib.import_module("flax.nnx")
    return nnx.state(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.Param)


def equinox_module() -> Any:
    eqx = pytest.importorskip("equinox")
    return eqx.filter(eqx.nn.Linear(2, 3, key=jax.random.key(0)), eqx.is_array)


@pytest.mark.parametrize("made", [frozen_dict, nnx_state, equinox_module], ids=lambda made: made.__name__)
def test_their_trees_are_trees(made: Callable[[], Any]) -> None:
    params = made()
    grads = jax.tree.map(jnp.ones_like, params)

    def stepped(tx: Any, apply: Any) -> Any:
        us, _ = tx.update(grads, tx.init(params), params)
        return apply(params, us)

    found = stepped(ours, arrayopt.apply_updates)
    assert type(found) is type(params)
    assert_near(found, stepped(theirs, optax.apply_updates))

"""Fused steps on JAX: trees that JAX does not know, rules that it cannot trace, buffers that are given twice."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.harness.compare import assert_near
from arrayopt_conformance.libraries import has

import arrayopt

if has("jax"):
    jnp: Any = importlib.import_module("jax.numpy")
pytestmark = pytest.mark.skipif(not has("jax"), reason="needs jax")

FEW = 8 * 2.0**-23


@dataclass
class Box:
    inside: Any
    beside: Any = None


def trees() -> dict[str, Callable[[], Any]]:
    return {
        "a dataclass": lambda: Box(jnp.ones(3), {"a": jnp.ones((2, 2))}),
        "keys without an order": lambda: {"a": jnp.ones(3), 3: [jnp.ones(2)], (1,): None},
        "a bare array": lambda: jnp.ones(3),
        "no leaves": lambda: {"a": {}, "b": None},
    }


@pytest.mark.parametrize("name", trees())
def test_trees_that_jax_does_not_know_are_stepped(name: str) -> None:
    make, tx = trees()[name], arrayopt.adamw(0.1)
    step, params, state = arrayopt.fused_step(tx), make(), tx.init(make())
    wanted, eager = make(), tx.init(make())
    for _ in range(3):
        us, eager = tx.update(make(), eager, wanted)
        wanted = arrayopt.apply_updates(wanted, us)
        params, state = step(params, make(), state)
    assert_near(params, wanted, FEW, "the parameters")
    assert_near(state, eager, FEW, "the state")


def tagged() -> arrayopt.GradientTransformation:
    """The state has a word and a switch in it."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        word, switch, mean = state
        mean = 0.9 * mean + 0.1 * updates if switch else mean
        return mean, (word, switch, mean)

    return arrayopt.GradientTransformation(lambda params: ("nesterov", True, 0 * params), update)


def test_what_is_no_array_stays_in_the_state() -> None:
    tx, params = tagged(), jnp.ones(3)
    step, state = arrayopt.fused_step(tx), tx.init(params)
    for _ in range(2):
        params, state = step(params, jnp.ones(3), state)
    assert state[:2] == ("nesterov", True)
    np.testing.assert_allclose(np.asarray(params), 1 + 0.1 + 0.19, rtol=1e-6)


def by_its_value(g: Any) -> Any:
    return g * float(g.sum())


def by_numpy(g: Any) -> Any:
    return jnp.asarray(np.sort(np.asarray(g)))


@pytest.mark.parametrize("formula", [by_its_value, by_numpy], ids=lambda f: f.__name__)
@pytest.mark.parametrize("engine", [None, "jit"])
def test_what_cannot_be_traced_runs_all_the_same(formula: Callable[[Any], Any], engine: str | None) -> None:
    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return arrayopt.tree.map(formula, updates), state

    tx = arrayopt.GradientTransformation(lambda params: (), update)
    step, g = arrayopt.fused_step(tx, engine), jnp.asarray([3.0, 1.0])
    params = {"w": jnp.zeros(2)}
    for k in (1, 2):
        params, _ = step(params, {"w": g}, ())
        np.testing.assert_allclose(np.asarray(params["w"]), k * np.asarray(formula(g)))
    told = step.explain()
    assert told.engine == "eager" and told.stopped is not None
    assert f"{__file__}:{formula.__code__.co_firstlineno + 1}" in told.stopped


def test_what_the_transform_refuses_is_refused_in_its_words() -> None:
    tx = arrayopt.adamw(0.1)
    params = {"w": jnp.ones(3)}
    state, step = tx.init(params), arrayopt.fused_step(tx)
    with pytest.raises(
        ValueError, match=r"adamw: the gradient at \['w'\] has shape \(2,\), its parameter has \(3,\)"
    ):
        step(params, {"w": jnp.ones(2)}, state)
    assert not params["w"].is_deleted()


def test_an_array_given_twice_is_refused() -> None:
    tx, x = arrayopt.sgd(0.1), jnp.ones(3)
    with pytest.raises(ValueError, match=r"the parameter at \['a'\] and the parameter at \['b'\] are one array"):
        params = {"a": x, "b": x}
        arrayopt.fused_step(tx)(params, {"a": jnp.ones(3), "b": jnp.ones(3)}, tx.init(params))
    with pytest.raises(ValueError, match=r"the parameter at \['a'\] and the gradient at \['a'\] are one array"):
        arrayopt.fused_step(tx)({"a": x}, {"a": x}, tx.init({"a": x}))
    assert not x.is_deleted()


MIXED: dict[str, Callable[[], Any]] = {
    "adamw": lambda: arrayopt.adamw(0.1),
    "clipped": lambda: arrayopt.chain(arrayopt.clip_by_global_norm(0.5), arrayopt.trace(0.9)),
    "adafactor": lambda: arrayopt.adafactor(0.1, min_dim_size_to_factor=2),
}


@pytest.mark.parametrize("part", ["gradients", "a state", "parameters"])
@pytest.mark.parametrize("name", MIXED)
def test_numpys_arrays_are_jaxs_beside_jaxs(name: str, part: str) -> None:
    """Whatever part of a step is NumPy's, it leads where JAX's alone lead, to JAX's arrays."""
    tx = MIXED[name]()

    def given() -> dict[str, Any]:
        params = {"w": jnp.linspace(-1, 1, 6).reshape(2, 3), "s": jnp.asarray(0.5)}
        gs = {"w": jnp.cos(jnp.arange(6.0)).reshape(2, 3), "s": jnp.asarray(-2.0)}
        return {"parameters": params, "gradients": gs, "a state": tx.init(params)}

    mixed = given()
    mixed[part] = arrayopt.tree.map(np.asarray, mixed[part])
    wanted, found = arrayopt.fused_step(tx)(*given().values()), arrayopt.fused_step(tx)(*mixed.values())
    assert_near(found, wanted, FEW, f"with {part} of NumPy, ")
    assert {type(x) for x in arrayopt.tree.leaves(found)} == {type(jnp.ones(1))}

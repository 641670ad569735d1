"""However an update is run, it is the same: as it stands, jitted, scanned, compiled, or mapped over a batch.

Not to the last bit. A compiler may fuse a product and a sum and round once instead of twice, or divide by way of a
reciprocal; each such operation differs by a unit in the last place of its operands, and what is left after a sum
cancels keeps that error. Hence the bound: 32 units in the last place of the greatest entry of the leaf, for the few
dozen operations of three steps.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import arrayopt
from arrayopt_conformance.harness.compare import ULP, assert_near
from arrayopt_conformance.harness.compiled import fresh
from arrayopt_conformance.harness.data import SMALL, gradients, parameters
from arrayopt_conformance.harness.runs import run, standing
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library

_FEW = 32 * ULP
_BATCH = 3
_ONE = {"w": (5, 6)}  # tracing takes its time for every leaf


@law("jax", dear=True)
def jit_changes_nothing_and_traces_once(make: Recipe, library: Library) -> None:
    """Jitted as eager; and new values of gradient, state and parameters are no reason to trace again."""
    jit, traces = library.modes["jit"], [0]

    def counted(update: Callable[..., Any]) -> Callable[..., Any]:
        def traced(*args: Any) -> Any:
            traces[0] += 1
            return update(*args)

        return jit(traced)

    params, days = parameters(library, shapes=SMALL), gradients(library, shapes=SMALL)
    jitted, plain = run(make(), params, days, mode=counted), run(make(), params, days)
    assert_near(jitted.updates, plain.updates, _FEW, "jitted, the update of step ")
    assert_near(jitted.states, plain.states, _FEW, "jitted, the state of step ")
    assert traces == [1], f"jit traces {traces[0]} times for {len(days)} gradients"


@law("torch", dear=True)
def compiling_changes_nothing_and_is_done_once(make: Recipe, library: Library) -> None:
    """Compiled as eager; and a new gradient is no reason to compile again."""
    torch = importlib.import_module("torch")
    params, days = parameters(library, shapes=_ONE), gradients(library, shapes=_ONE)
    tx, plain = make(), run(make(), params, days)
    update = fresh(library)(tx.update)
    first = run(tx, params, days[:1], mode=lambda _: update)
    with torch.compiler.set_stance("fail_on_recompile"):
        rest = run(tx, first.params[0], days[1:], first.states[0], mode=lambda _: update)
    assert_near([*first.updates, *rest.updates], plain.updates, _FEW, "compiled, the update of step ")
    assert_near(rest.states[-1], plain.states[-1], _FEW, "compiled, the state")


@law("jax", dear=True)
def scan_is_the_loop(make: Recipe, library: Library) -> None:
    """``lax.scan`` over the step, parameters and state carried, as the loop."""
    jax = importlib.import_module("jax")
    params, days, tx = parameters(library, shapes=SMALL), gradients(library, shapes=SMALL), make()

    def step(carry: Any, gs: Any) -> Any:
        ps, state = carry
        us, state = tx.update(gs, state, ps)
        return (arrayopt.apply_updates(ps, us), state), us

    (_, state), us = jax.lax.scan(step, (params, tx.init(params)), _stacked(days, library))
    loop = run(make(), params, days)
    assert_near(state, loop.states[-1], _FEW, "scanned, the state")
    assert_near(us, _stacked(loop.updates, library), _FEW, "scanned, the updates")


@law("jax", "torch", dear=True)
def vmap_is_a_loop_over_the_batch(make: Recipe, library: Library) -> None:
    """``init`` and ``update`` mapped over a batch of parameters, as one by one."""
    vmap = importlib.import_module(library.name).vmap
    batch = [_shifted(parameters(library, shapes=SMALL), i) for i in range(_BATCH)]
    days = [[_shifted(gs, i) for i in range(_BATCH)] for gs in gradients(library, shapes=SMALL)]
    tx, stacked = make(), _stacked(batch, library)
    state, updates = vmap(tx.init)(stacked), list[Any]()
    for day in days:
        us, state = vmap(tx.update)(_stacked(day, library), state, stacked)
        updates.append(us)
    alone = [standing(make(), params, [day[i] for day in days]) for i, params in enumerate(batch)]
    wanted = [_stacked(list(day), library) for day in zip(*alone, strict=True)]
    assert_near(updates, wanted, _FEW, "mapped, the update of step ")


def _shifted(tree: Any, i: int) -> Any:
    """Another tree for each i."""

    def shifted(x: Any) -> Any:
        return x * (1.0 + i) + 0.5 * i

    return arrayopt.tree.map(shifted, tree)


def _stacked(trees: list[Any], library: Library) -> Any:
    """One tree of the leaves of several, along a new first axis."""

    def stack(*leaves: Any) -> Any:
        return library.backend.xp.stack(leaves)

    return arrayopt.tree.map(stack, *trees)

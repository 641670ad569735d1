"""``init`` and ``update`` are pure: they write to nothing, keep nothing, and hand out memory of their own.

A state may then be donated, an update changed in place by whoever was given it, and a run repeated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from arrayopt.dispatch import backend
from arrayopt_conformance.harness import readonly
from arrayopt_conformance.harness.compare import assert_same, by_path, snapshot
from arrayopt_conformance.harness.data import SMALL, gradients, parameters
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library


@law()
def inputs_stay_as_they_are(make: Recipe, library: Library) -> None:
    """Parameters, gradients and state have every bit they had before."""
    params, tx = parameters(library), make()
    before = snapshot(params)
    state = tx.init(params)
    assert snapshot(params) == before, "init writes to the parameters"
    for gs in gradients(library):
        before = snapshot((params, gs, state))
        _, new = tx.update(gs, state, params)
        assert snapshot((params, gs, state)) == before, "update writes to its arguments"
        state = new


@law(readonly.NAME)
def read_only_arrays_will_do(make: Recipe, library: Library) -> None:
    """Nothing is written even for a moment."""
    readonly.trial(make, library)


@law()
def runs_repeat_to_the_bit(make: Recipe, library: Library) -> None:
    """The same inputs give the same bits: in a run of a transform made anew, and in a call made twice."""
    params, days, tx = parameters(library), gradients(library), make()
    first, second = run(tx, params, days), run(make(), params, days)
    assert_same(second, first, "in a second run ")
    again = tx.update(days[0], tx.init(params), params)
    assert_same(again, (first.updates[0], first.states[0]), "called again, update gives ")


@law()
def outputs_have_memory_of_their_own(make: Recipe, library: Library) -> None:
    """No two of them share a buffer, and none shares one with an input.

    But for what is handed on as it came: an update that is the gradient, a slot that was not touched.
    """
    params, tx = parameters(library, shapes=SMALL), make()
    state = tx.init(params)
    _assert_apart({"the state": state}, {"the parameters": params})
    for gs in gradients(library, shapes=SMALL):
        us, new = tx.update(gs, state, params)
        outputs = {"the update": _changed(us, gs), "the new state": _changed(new, state)}
        _assert_apart(outputs, {"the parameters": params, "the gradients": gs, "the state": state})
        state = new


def _changed(new: Any, old: Any) -> dict[str, Any]:
    """The leaves that are not the very object that was there before."""
    before = by_path(old)
    return {path: leaf for path, leaf in by_path(new).items() if leaf is not before[path]}


def _assert_apart(outputs: dict[str, Any], inputs: dict[str, Any]) -> None:
    ours = [(name + path, leaf) for name, tree in outputs.items() for path, leaf in by_path(tree).items()]
    given = [(name + path, leaf) for name, tree in inputs.items() for path, leaf in by_path(tree).items()]
    for i, (name, leaf) in enumerate(ours):
        for other, there in (*ours[:i], *given):
            assert not _share(leaf, there), f"{name} shares memory with {other}"


def _share(a: Any, b: Any) -> bool:
    """Whether two leaves overlap in memory; on a CPU, NumPy sees the memory of every library."""
    return np.shares_memory(backend(a).to_numpy(a), backend(b).to_numpy(b))


@law("jax", dear=True)
def state_can_be_donated(make: Recipe, library: Library) -> None:
    """XLA may build the new state in the memory of the old: no two slots share a buffer, nor any with a parameter.

    Fused steps on JAX donate it, and are compared with eager ones.
    """
    params, days = parameters(library, shapes=SMALL), gradients(library, shapes=SMALL)
    tx = make()
    first = tx.init(params)
    for when, state in (("first", first), ("second", tx.update(days[0], first, params)[1])):
        owners: dict[int, str] = {}
        for path, leaf in by_path({"params": params, "gradients": days[0], "state": state}).items():
            owner = owners.setdefault(leaf.unsafe_buffer_pointer(), path)
            assert owner == path, f"in the {when} state {path} has the buffer of {owner}"

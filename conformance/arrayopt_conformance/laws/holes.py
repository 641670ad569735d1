"""None as a gradient: this parameter gets no update and what is remembered of it is not touched.

The others fare as if it were not there. A MaskedNode, ours or Optax's, passes through, as does None for a parameter.
"""

from __future__ import annotations

import importlib
from typing import Any

import arrayopt
from arrayopt.tree.structure import flatten
from arrayopt_conformance.harness.compare import assert_same, bits, by_path
from arrayopt_conformance.harness.data import SMALL, gradients, parameters
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library, has

_HOLE = "hole"


def _split(tree: Any) -> dict[str, Any]:
    """The leaves as ``{"hole": {"a": …, "b": […]}, "rest": {"a": …, "b": […]}}``."""
    half = {"a": tree["w"], "b": [tree["s"]]}
    return {_HOLE: half, "rest": half}


def _trees(library: Library) -> tuple[Any, list[Any]]:
    params = _split(parameters(library, shapes=SMALL))
    return params, [_split(gs) for gs in gradients(library, shapes=SMALL)]


def _without(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: branch for name, branch in tree.items() if name != _HOLE}


def _outside(state: Any) -> list[Any]:
    """The bits of the state of all other leaves."""
    return [bits(leaf) for path, leaf in by_path(state).items() if _HOLE not in path]


def _inside(state: Any) -> list[Any]:
    return [bits(leaf) for path, leaf in by_path(state).items() if _HOLE in path]


def _holding(params: Any, branch: Any) -> Any:
    return {**params, _HOLE: branch}


@law()
def none_leaves_a_parameter_alone(make: Recipe, library: Library) -> None:
    """None for a subtree or for the leaves in it: no update, its state has the bits it had, the others do not see."""
    params, days = _trees(library)
    alone = run(make(), _without(params), [_without(gs) for gs in days])
    for none in (None, {"a": None, "b": [None]}, {"a": None, "b": None}):
        tx = make()
        first = tx.init(params)
        done = run(tx, params, [_holding(gs, none) for gs in days], first)
        for us, state, ps, k in zip(done.updates, done.states, done.params, range(len(days)), strict=True):
            assert us[_HOLE] == none, f"the update of a gradient {none} is {us[_HOLE]}"
            assert_same(_without(us), alone.updates[k], "beside a hole, the update")
            assert_same(ps[_HOLE], params[_HOLE], "without a gradient, the parameter")
            assert _inside(state) == _inside(first), f"without a gradient, the state changes: {state}"
            assert _outside(state) == _outside(alone.states[k]), f"beside a hole, the state is another: {state}"


@law()
def a_hole_can_be_filled(make: Recipe, library: Library) -> None:
    """A gradient that is None on one step and there on the next steps the state that was kept."""
    params, (first, second, third) = _trees(library)
    tx = make()
    _, state = tx.update(first, tx.init(params), params)
    _, kept = tx.update(_holding(second, None), state, params)
    us, _ = tx.update(third, kept, params)
    wanted, _ = tx.update(third, _resumed(state, kept), params)
    assert_same(us, wanted, "after a hole, the update")


def _resumed(old: Any, new: Any) -> Any:
    """The new state with the old leaves where the hole was; the same, if they were kept."""
    leaves, spec = flatten(new)
    before = by_path(old)
    both = zip(spec.paths(), leaves, strict=True)
    return spec.unflatten([before[path] if _HOLE in path else leaf for path, leaf in both])


@law()
def absent_parameters_pass(make: Recipe, library: Library) -> None:
    """None or a MaskedNode for parameter and gradient alike: as without it, and handed on."""
    params, days = _trees(library)
    alone = run(make(), _without(params), [_without(gs) for gs in days])
    for nothing in _nothings():
        done = run(make(), _holding(params, nothing), [_holding(gs, nothing) for gs in days])
        for us, ps, k in zip(done.updates, done.params, range(len(days)), strict=True):
            assert us[_HOLE] == nothing and type(us[_HOLE]) is type(nothing), f"for {nothing} came {us[_HOLE]}"
            assert ps[_HOLE] == nothing and type(ps[_HOLE]) is type(nothing), f"{nothing} became {ps[_HOLE]}"
            assert_same(_without(us), alone.updates[k], f"beside {nothing}, the update")
        assert _outside(done.states[-1]) == _outside(alone.states[-1]), f"beside {nothing}, the state is another"


def _nothings() -> list[Any]:
    found: list[Any] = [None, arrayopt.MaskedNode(), {}, []]
    if has("optax"):
        found.append(importlib.import_module("optax").MaskedNode())
    return found

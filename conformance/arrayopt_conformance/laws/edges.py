"""Inputs at the edge of what there is: zeros, and leaves or trees with next to nothing in them."""

from __future__ import annotations

from typing import Any

import arrayopt
from arrayopt_conformance.harness.compare import assert_alike, assert_finite, assert_same, assert_zero
from arrayopt_conformance.harness.data import SMALL, gradients, parameters
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library

_STEPS = 3


@law()
def zero_gradients_move_nothing(make: Recipe, library: Library) -> None:
    """In every dtype their updates are finite; and zero, unless weights decay."""
    for dtype in library.dtypes:
        params = parameters(library, dtype, SMALL)
        done = run(make(), params, [arrayopt.tree.zeros_like(params)] * _STEPS)
        assert_finite(done, f"for zero gradients of {dtype}, ")
        if not _decays(make):
            assert_zero(done.updates, f"for zero gradients of {dtype}, the update of step ")


@law()
def zeros_stay_zeros(make: Recipe, library: Library) -> None:
    """Zero gradients do not move zero parameters, in any dtype; nor do gradients make a NaN of them."""
    for dtype in library.dtypes:
        params = arrayopt.tree.zeros_like(parameters(library, dtype, SMALL))
        still = run(make(), params, [params] * _STEPS)
        assert_zero(still.updates, f"for zeros of {dtype}, the update of step ")
        assert_finite(still.states, f"for zeros of {dtype}, the state of step ")
        moved = run(make(), params, gradients(library, dtype, SMALL))
        assert_finite(moved.updates, f"for zero parameters of {dtype}, the update of step ")


def _decays(make: Recipe) -> bool:
    """Whether an argument makes the update depend on where the parameters are, also at a zero gradient."""
    return any([value for name, value in make.everything() if "weight_decay" in name])


@law()
def small_leaves_are_leaves(make: Recipe, library: Library) -> None:
    """A bare array will do for a tree, if 0-d, of one entry or of none; its update is as in a tree of its own."""
    for shape in ((), (1,), (0, 4)):
        alone, named = [
            run(make(), params, days)
            for params, days in (
                (parameters(library, shapes={"x": shape})["x"], _days(library, shape, bare=True)),
                (parameters(library, shapes={"x": shape}), _days(library, shape, bare=False)),
            )
        ]
        for u, us in zip(alone.updates, named.updates, strict=True):
            assert_same(u, us["x"], f"for a bare leaf of shape {shape}, the update")


def _days(library: Library, shape: tuple[int, ...], *, bare: bool) -> list[Any]:
    days = gradients(library, shapes={"x": shape})
    return [gs["x"] for gs in days] if bare else days


@law()
def empty_trees_pass(make: Recipe, library: Library) -> None:
    """A tree without leaves has an update without leaves."""
    del library  # there is no array to be of one
    empty: list[Any] = [{}, [], (), {"b": {"c": None}}]  # not None itself: such parameters are missing
    for tree in empty:
        tx = make()
        us, _ = tx.update(tree, tx.init(tree), tree)
        assert_alike(us, tree, f"for {tree}, the update")
        assert_alike(arrayopt.apply_updates(tree, us), tree, f"for {tree}, the new parameters")

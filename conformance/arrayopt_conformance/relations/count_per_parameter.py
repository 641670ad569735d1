"""Steps counted for each parameter by itself: the inner transform, of each parameter alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import arrayopt
from arrayopt_conformance.harness.compare import assert_same
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library
from arrayopt_conformance.relations.steps import assert_alike, given

Counting = Callable[..., Any]


def with_all_gradients_it_is_the_inner_one(counting: Counting, inner: Recipe, library: Library) -> None:
    params, days = given(library)
    plain, own = run(inner(), params, days), run(counting(inner()), params, days)
    assert_same(own.updates, plain.updates, "the update of step ")
    assert_same(own.params, plain.params, "the parameters of step ")


def twice_is_once(counting: Counting, inner: Recipe, library: Library) -> None:
    assert_alike(counting(counting(inner())), counting(inner()), library)


def a_gradient_of_none_is_no_step(counting: Counting, inner: Recipe, library: Library) -> None:
    """What comes after it is as if it had not been, the counters of that parameter too."""
    params, days = given(library)
    tx, first = counting(inner()), min(params)
    state = tx.init(params)
    _, before = tx.update(days[0], state, params)
    _, after = tx.update({**days[1], first: None}, before, params)
    found, kept = [{path: x for path, x in _by_path(s).items() if f"['{first}']" in path} for s in (after, before)]
    assert_same(found, kept, "without a gradient, the state ")


def _by_path(tree: Any) -> dict[str, Any]:
    leaves, spec = arrayopt.tree.flatten(tree)
    return dict(zip(spec.paths(), leaves, strict=True))

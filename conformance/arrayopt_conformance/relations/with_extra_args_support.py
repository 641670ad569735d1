"""Support of extra arguments: the same transform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import arrayopt
from arrayopt_conformance.harness.compare import assert_same
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library
from arrayopt_conformance.relations.steps import assert_alike, given, taking

Support = Callable[..., Any]


def it_is_the_same(support: Support, inner: Recipe, library: Library) -> None:
    assert_alike(support(inner()), inner(), library)
    assert_alike(support(support(inner())), inner(), library)


def what_it_has_no_use_for_is_dropped(support: Support, inner: Recipe, library: Library) -> None:
    params, (gs, *_) = given(library)
    tx = support(inner())
    state = tx.init(params)
    wanted = tx.update(gs, state, params)
    assert_same(tx.update(gs, state, params, value=1.0), wanted, "with a value, of (update, state) ")


def what_takes_them_is_left_alone(support: Support, inner: Recipe, library: Library) -> None:
    del inner
    params, (gs, *_) = given(library)
    takes = taking("value")
    assert support(takes) is takes
    us, _ = support(takes).update(gs, takes.init(params), params, value=params)
    assert_same(us, arrayopt.tree.add(gs, params), "the update ")

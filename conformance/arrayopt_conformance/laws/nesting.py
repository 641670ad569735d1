"""How parameters are nested does not matter: a rule that looks at one leaf at a time steps each as if alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from arrayopt_conformance.harness.compare import assert_same, by_path
from arrayopt_conformance.harness.forests import SETTINGS, filled, trees
from arrayopt_conformance.harness.runs import run
from arrayopt_conformance.laws import law
from arrayopt_conformance.laws.reach import reach
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import Library

_STEPS = 2


@law("numpy", dear=True)
def any_nesting_will_do(make: Recipe, library: Library) -> None:
    """Whatever the containers, keys and order: the update of a tree has the bits of the updates of its leaves."""
    del library
    if (make.reach or reach(make)) == "treewise":
        return

    @SETTINGS
    @given(trees)
    def holds(tree: Any) -> None:
        params, days = filled(tree, 0), [filled(tree, 1 + k) for k in range(_STEPS)]
        done = run(make(), params, days)
        leaves = [by_path(x) for x in (params, *days)]
        for path in leaves[0]:
            alone = run(make(), leaves[0][path], [gs[path] for gs in leaves[1:]])
            for us, u in zip(done.updates, alone.updates, strict=True):
                assert_same(by_path(us)[path], u, f"in {tree}, the update at {path}")

    holds()

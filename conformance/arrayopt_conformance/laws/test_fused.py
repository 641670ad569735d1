"""Every rule of arrayopt is fused, none falls back; and a step that forgets something is noticed by the laws."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any
from unittest import mock

import pytest

import arrayopt
from arrayopt_conformance.harness.data import SHAPES, gradients, parameters
from arrayopt_conformance.harness.fused import copied, serving
from arrayopt_conformance.laws import laws
from arrayopt_conformance.laws.cases import recipes
from arrayopt_conformance.laws.fused import fused_steps_are_eager_steps
from arrayopt_conformance.laws.recipe import Recipe
from arrayopt_conformance.libraries import has, libraries
from arrayopt_conformance.rules import Rule


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_every_case_of_every_rule_is_recorded(rule: Rule, name: str) -> None:
    """On real and on complex numbers, by the engine that is asked for."""
    if name not in libraries():
        pytest.skip(f"needs {name}")
    library, (law,) = libraries()[name], [law for law in laws() if law.holds is fused_steps_are_eager_steps]
    for dtype in ("float64", "complex64"):
        params, (gs,) = parameters(library, dtype), gradients(library, dtype, steps=1)
        for case, make in recipes(rule, law, library):
            tx = make()
            step = arrayopt.fused_step(tx, engine="tiles")
            step(copied(params, library), gs, copied(tx.init(params), library))
            told = step.explain()
            assert (told.stopped, told.engine) == (None, "tiles"), f"{case}, {dtype}: {told.stopped}"


def test_numba_serves_numpy_and_torch_first() -> None:
    for name in ("numpy", "torch"):
        if name in libraries():
            assert serving(libraries()[name])[0] == ("numba" if has("numba") else "tiles")


@pytest.mark.parametrize("forgotten", range(3 * len(SHAPES)))
def test_a_store_that_is_forgotten_is_noticed(forgotten: int) -> None:
    """Of parameters and slots of AdamW, each in turn; but for the leaf without entries: nothing is stored there."""
    lower: Any = importlib.import_module("arrayopt.fused.lower")
    real = lower.targets

    def forgetful(graph: Any, outputs: Any) -> Sequence[Any]:
        found = list(real(graph, outputs))
        stores = [target for target in found if target.what == "store"]
        lost = stores[forgotten] if graph.sizes[stores[forgotten].value] else None
        return [target for target in found if target is not lost]

    make, numpy = Recipe(arrayopt.adamw, {"learning_rate": 0.1}), libraries()["numpy"]
    with mock.patch.object(lower, "targets", forgetful):
        if sorted(SHAPES)[forgotten % len(SHAPES)] == "z":
            fused_steps_are_eager_steps(make, numpy)
        else:
            with pytest.raises(AssertionError, match=r"by (tiles|eager)"):
                fused_steps_are_eager_steps(make, numpy)

"""Steps of two transforms that are to be the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import arrayopt
from arrayopt_conformance.harness.compare import assert_same, bits
from arrayopt_conformance.harness.data import SHAPES, SMALL, gradients, parameters
from arrayopt_conformance.harness.runs import Run, run
from arrayopt_conformance.libraries import Library

State = Callable[[Any], Any]


def given(library: Library) -> tuple[Any, list[Any]]:
    """Parameters, and the gradients of each step: few where every shape is compiled for."""
    shapes = SHAPES if library.name in ("numpy", "torch") else SMALL
    return parameters(library, shapes=shapes), gradients(library, shapes=shapes)


def done(tx: Any, library: Library) -> Run:
    """Its steps."""
    return run(tx, *given(library))


def as_it_is(state: Any) -> Any:
    """The state that a wrapper has of its own is compared whole."""
    return state


def assert_alike(got: Any, wanted: Any, library: Library, state: State = as_it_is) -> None:
    """Two transforms give the same updates; and the same state, once ``state`` has taken the wrapper's off."""
    a, b = done(got, library), done(wanted, library)
    assert_same(a.updates, b.updates, "the update of step ")
    assert_same(a.params, b.params, "the parameter after step ")
    assert_same([state(x) for x in a.states], b.states, "the state after step ")


def leaves(tree: Any) -> list[Any]:
    """The bits of its leaves in order, whatever stands between them."""
    return [bits(leaf) for leaf in arrayopt.tree.leaves(tree)]


def taking(*seen: str) -> arrayopt.GradientTransformationExtraArgs:
    """A transform that adds to the updates the trees that it is given under these names."""

    def update(updates: Any, state: Any, params: Any = None, **extra_args: Any) -> tuple[Any, Any]:
        del params
        for name in seen:
            updates = arrayopt.tree.add(updates, extra_args[name])
        return updates, state

    return arrayopt.GradientTransformationExtraArgs(arrayopt.init_empty_state, update)

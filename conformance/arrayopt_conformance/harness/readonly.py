"""NumPy arrays that refuse to be written to: a hidden in-place operation raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import arrayopt
from arrayopt_conformance.harness import runs
from arrayopt_conformance.harness.data import SHAPES, Shapes, gradients, parameters
from arrayopt_conformance.libraries import Library

NAME = "numpy"


def read_only(tree: Any) -> Any:
    """The tree, each array frozen."""
    for leaf in arrayopt.tree.leaves(tree):
        leaf.setflags(write=False)
    return tree


def _guarded(update: Callable[..., Any]) -> Callable[..., Any]:
    def frozen(gs: Any, state: Any, params: Any) -> Any:
        return update(gs, read_only(state), params)

    return frozen


def trial(make: Callable[[], Any], library: Library, shapes: Shapes = SHAPES) -> None:
    """Steps a transform on such arrays; raises if it writes to one."""
    params = read_only(parameters(library, shapes=shapes))
    days = [read_only(gs) for gs in gradients(library, shapes=shapes)]
    runs.trial(make(), params, days, _guarded)

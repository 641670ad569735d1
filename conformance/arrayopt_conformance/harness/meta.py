"""Torch's meta device: tensors with shape, dtype and device, but no values. Whoever asks for a value raises.

Its rules for mixing devices are those of CUDA, so it finds on any machine what would fail on a GPU.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import arrayopt
from arrayopt_conformance.harness import runs
from arrayopt_conformance.harness.compare import by_path
from arrayopt_conformance.harness.data import SHAPES, Shapes, gradients, parameters
from arrayopt_conformance.libraries import Library

NAME = "torch"


def hollow(tree: Any) -> Any:
    """The tree on the meta device."""
    meta = importlib.import_module("torch").device("meta")

    def moved(x: Any) -> Any:
        return x.to(meta)

    return arrayopt.tree.map(moved, tree)


def trial(make: Callable[[], Any], library: Library, shapes: Shapes = SHAPES) -> None:
    """Steps a transform there; raises if it needs a value, or leaves an array behind. Counters may be on the CPU."""
    params = hollow(parameters(library, shapes=shapes))
    days = [hollow(gs) for gs in gradients(library, shapes=shapes)]
    state = runs.trial(make(), params, days)
    for path, leaf in by_path(state).items():
        assert leaf.device.type == "meta" or leaf.shape == (), f"the state{path} is on {leaf.device}"

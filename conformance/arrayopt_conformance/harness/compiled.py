"""torch.compile without a graph break: the update must be one traceable graph."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from arrayopt_conformance.harness import runs
from arrayopt_conformance.harness.data import SMALL, Shapes, gradients, parameters
from arrayopt_conformance.libraries import Library

NAME = "torch"


def fresh(library: Library) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The library's compiler, having forgotten what it compiled: it counts variants of a function, and gives up."""
    importlib.import_module("torch").compiler.reset()
    return library.modes["compile"]


def trial(make: Callable[[], Any], library: Library, shapes: Shapes = SMALL) -> None:
    """Steps a transform compiled; raises if it cannot be."""
    params, days = parameters(library, shapes=shapes), gradients(library, shapes=shapes)
    runs.trial(make(), params, days, fresh(library))

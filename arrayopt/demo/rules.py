"""The optimizers that the demo can run, found by looking at what arrayopt exports."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import arrayopt

SHOWN = ("adam", "adabelief", "adopt", "ademamix", "adafactor")

# With these each trains the demo's network well; Adafactor's is relative to the size of the parameters.
_RATES = {"adopt": 2e-3, "ademamix": 5e-4, "adafactor": 1e-2, "sgd": 0.3}
_RATE = 1e-3


def known() -> dict[str, Callable[..., Any]]:
    """Every public optimizer that a learning rate suffices to build, by name."""
    public = vars(arrayopt.contrib) | vars(arrayopt)
    return {name: make for name, make in sorted(public.items()) if _is_optimizer(name, make)}


def _is_optimizer(name: str, make: Any) -> bool:
    if not inspect.isfunction(make) or name.startswith(("_", "scale_by_")):
        return False
    arguments = inspect.signature(make).parameters
    needed = {name for name, argument in arguments.items() if argument.default is argument.empty}
    return "learning_rate" in arguments and needed <= {"learning_rate"}


def make(name: str, learning_rate: float | None = None) -> Any:
    """The optimizer of that name, at the learning rate given or at one that suits the demo."""
    rate = _RATES.get(name, _RATE) if learning_rate is None else learning_rate
    return known()[name](learning_rate=rate)

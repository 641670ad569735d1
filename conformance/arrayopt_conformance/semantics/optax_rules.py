"""Optax's rules, made for the cases of ours: what its arguments must be for it to compute in double precision."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from arrayopt_conformance.makers import by_name
from arrayopt_conformance.oracles import Inner, Maker, Schedule, within
from arrayopt_conformance.rules import Rule, inners, public

Arguments = dict[str, Any]

# Optax computes Adafactor's decay in float32 whatever the precision asked for.
IN_FLOAT32 = ("adafactor", "scale_by_factored_rms")

# What Optax takes as a number only.
NUMBERS = ("b1", "b2", "eps", "eps_root", "epsilon")


@cache
def optax() -> Any:
    """The module."""
    return importlib.import_module("optax")


def counterpart(rule: Rule) -> Callable[..., Any] | None:
    """Optax's function of that name, None if it has none."""
    return _named(rule.name)


def _named(name: str) -> Callable[..., Any] | None:
    found: Callable[..., Any] | None = getattr(optax(), name, None)
    return found or getattr(optax().contrib, name, None)


def has_decay(make: Callable[..., Any]) -> bool:
    """Whether this Optax gives the rule weight decay: adabelief has it since 0.2.9."""
    return "weight_decay" in inspect.signature(make).parameters


def made(rule: Rule, case: Arguments) -> Any:
    """Optax's transform for a case."""
    return _made(rule.name, case)


def _made(name: str, case: Arguments) -> Any:
    make = _named(name)
    assert make is not None
    kwargs = {name: argument(value) for name, value in case.items()}
    if name == "adabelief" and not has_decay(make):
        return _adabelief(**kwargs)
    return by_name(make, public(name))(**kwargs)


def _adabelief(learning_rate: Any, weight_decay: Any = None, weight_decay_mask: Any = None, **kwargs: Any) -> Any:
    decay = [] if weight_decay is None else [optax().add_decayed_weights(weight_decay, weight_decay_mask)]
    return optax().chain(optax().scale_by_belief(**kwargs), *decay, optax().scale_by_learning_rate(learning_rate))


def argument(value: Any) -> Any:
    """An argument as Optax takes it: a schedule or transform made by Optax where one is marked."""
    if isinstance(value, Inner):
        return _made(value.name, value.kwargs)
    if isinstance(value, Maker):
        return _named(value.name)
    return schedule(value) if isinstance(value, Schedule) else within(value, argument)


def schedule(marker: Schedule) -> Callable[[Any], Any]:
    """Optax's schedule, its counts widened: of an int32 count Optax makes float32, also under x64."""
    narrow = narrow_schedule(marker)
    return lambda count: narrow(count.astype("int64") if hasattr(count, "astype") else count)


def narrow_schedule(marker: Schedule) -> Callable[[Any], Any]:
    """Optax's schedule as it is."""
    kwargs = dict(marker.kwargs)
    if marker.name == "join_schedules":
        kwargs["schedules"] = [narrow_schedule(part) for part in kwargs["schedules"]]
    make: Callable[..., Callable[[Any], Any]] = getattr(optax(), marker.name)
    return make(**kwargs)


def obstacle(rule: Rule, case: Arguments, dtype: str) -> str:
    """Why Optax cannot run a case; empty if it can."""
    reasons = [_obstacle(inner.name, inner.kwargs, dtype) for inner in (Inner(rule.name, **case), *inners(case))]
    return next(filter(None, reasons), "")


def _obstacle(name: str, case: Arguments, dtype: str) -> str:
    if any(isinstance(case.get(number), Schedule) for number in NUMBERS):
        return "it takes no schedule there"
    if name == "chain" and not case["transforms"]:
        return "it makes no chain of nothing"
    if case.get("max_norm") == 0:
        return "zero gradients over their zero norm are NaN there"
    if case.get("step_offset") or case.get("decay_offset"):
        return "its decay is NaN before the offset"
    if dtype == "complex128" and name.endswith("adopt") and case.get("use_clipping", True):
        return "it does not clip complex numbers"
    if dtype == "complex128" and name == "clip":
        return "it does not clip complex numbers"
    if dtype == "complex128" and any("dtype" in argument for argument in case):
        return "it drops the imaginary part in a real slot"
    return ""


def tolerance(rule: Rule, case: Arguments) -> tuple[float, str]:
    """How near Optax comes to double precision in a case, and why no nearer."""
    if any(inner.name in IN_FLOAT32 for inner in (Inner(rule.name), *inners(case))):
        return 1e-6, "Optax computes Adafactor's decay in float32"
    if any(name.endswith("_dtype") for name in (*case, *[name for inner in inners(case) for name in inner.kwargs])):
        return 1e-6, "Optax multiplies a float32 slot by its decay in float32, or forgets that it was to be one"
    return 1e-12, ""

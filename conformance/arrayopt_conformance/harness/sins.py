"""Eighteen ways to write a rule that works on one library and fails on another, and one that works on all.

Each is a line in a rule that is otherwise sound. They prove the harness: see ``test_harness``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from arrayopt import GradientTransformation
from arrayopt.dispatch import backend, namespace

Line = Callable[[Any, Any, Any, Any], tuple[Any, Any, Any]]


class SinState(NamedTuple):
    """State of a rule here."""

    count: Any  # steps taken; shape (), int32
    mu: Any  # some memory of the gradient, an array like the parameter


def rule(line: Line) -> GradientTransformation:
    """A transform of ``{"w": array}`` from ``(xp, g, mu, count) -> (update, mu, count)``."""

    def init(params: Any) -> SinState:
        p = params["w"]
        return SinState(backend(p).counter(p), namespace(p).zeros_like(p))

    def update(updates: Any, state: SinState, params: Any = None) -> tuple[Any, SinState]:
        del params
        g = updates["w"]
        u, mu, count = line(namespace(g), g, state.mu, state.count)
        return {"w": u}, SinState(count, mu)

    return GradientTransformation(init, update)


def good(xp: Any, g: Any, mu: Any, count: Any) -> tuple[Any, Any, Any]:
    """A bias-corrected mean, written as all must be."""
    count = xp.asarray(count + xp.astype(count < 2**31 - 1, xp.int32))  # an array again: NumPy made a scalar
    mu = 0.9 * mu + 0.1 * g
    return mu / -xp.expm1(xp.astype(count, g.dtype) * math.log(0.9)), mu, count


def of_gradient(expression: Callable[[Any, Any], Any]) -> Line:
    """The rule whose update is an expression of namespace and gradient."""

    def line(xp: Any, g: Any, mu: Any, count: Any) -> tuple[Any, Any, Any]:
        return expression(xp, g), mu, count

    return line


def branches_on_a_value(xp: Any, g: Any) -> Any:
    return g if xp.sum(g * g) > 1 else 2 * g


def takes_a_float_out(xp: Any, g: Any) -> Any:
    return g * float(xp.max(g))


def makes_a_scalar_array(xp: Any, g: Any) -> Any:
    return g * xp.asarray(0.9)


def makes_ones_on_the_default_device(xp: Any, g: Any) -> Any:
    return g * xp.ones(g.shape, dtype=g.dtype)


def ties_a_scalar_to_a_device(xp: Any, g: Any) -> Any:
    return g * xp.asarray(0.9, dtype=g.dtype, device=g.device)


def multiplies_by_a_numpy_scalar(xp: Any, g: Any) -> Any:
    return g * np.sqrt(0.5)


def calls_numpy(xp: Any, g: Any) -> Any:
    return np.sqrt(np.abs(g))


def tests_with_a_mask_times(xp: Any, g: Any) -> Any:
    return g * (g > 0)


def picks_by_a_mask(xp: Any, g: Any) -> Any:
    return g * xp.sum(g[g > 0])


def calls_a_method(xp: Any, g: Any) -> Any:
    return g.clip(-1.0, 1.0)


def compares_with_a_number(xp: Any, g: Any) -> Any:
    return xp.maximum(g, 0.0)


def widens_for_good(xp: Any, g: Any) -> Any:
    return xp.astype(g, xp.float64)


def calls_what_is_not_standard(xp: Any, g: Any) -> Any:
    return xp.concatenate([g, g])[: g.shape[0], ...]


def divides_by_size(xp: Any, g: Any) -> Any:
    return g / g.size


def scales_in_place(xp: Any, g: Any, mu: Any, count: Any) -> tuple[Any, Any, Any]:
    mu *= 0.9
    return g + mu, mu, count


def writes_an_entry(xp: Any, g: Any, mu: Any, count: Any) -> tuple[Any, Any, Any]:
    mu[0] = 0
    return g + mu, mu, count


def powers_by_the_count(xp: Any, g: Any, mu: Any, count: Any) -> tuple[Any, Any, Any]:
    return g * (1 - 0.9**count), mu, count + 1


def counts_in_floats(xp: Any, g: Any, mu: Any, count: Any) -> tuple[Any, Any, Any]:
    return g, mu, count + 1.0


SINS: dict[str, Line] = {
    **{
        sin.__name__: of_gradient(sin)
        for sin in (
            branches_on_a_value,
            takes_a_float_out,
            makes_a_scalar_array,
            makes_ones_on_the_default_device,
            ties_a_scalar_to_a_device,
            multiplies_by_a_numpy_scalar,
            calls_numpy,
            tests_with_a_mask_times,
            picks_by_a_mask,
            calls_a_method,
            compares_with_a_number,
            widens_for_good,
            calls_what_is_not_standard,
            divides_by_size,
        )
    },
    **{sin.__name__: sin for sin in (scales_in_place, writes_an_entry, powers_by_the_count, counts_in_floats)},
}

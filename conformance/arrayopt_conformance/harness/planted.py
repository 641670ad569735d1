"""Transforms that are wrong, each in one way: what the laws are for. ``test_planted`` says which law notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import arrayopt
from arrayopt import GradientTransformation, dtypes
from arrayopt.dispatch import backend, namespace
from arrayopt.tree.structure import flatten
from arrayopt_conformance.harness.compare import by_path

# -- ways to be wrong in what is done with a leaf ------------------------------------------------------------


def stateless(f: Callable[[Any], Any]) -> GradientTransformation:
    """The update is f of the gradient."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        return arrayopt.tree.map(settled(f), updates), state

    return GradientTransformation(nothing, update)


def settled(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """f, with an array for the scalar that NumPy makes of a 0-d one: whoever breaks another law keeps to this."""

    def kept(x: Any) -> Any:
        return _settle(f(x))

    return kept


def _settle(x: Any) -> Any:
    return backend(x).settle(x)


def keeping(first: Callable[[Any], Any], f: Callable[[Any, Any], tuple[Any, Any]]) -> GradientTransformation:
    """``f(gradient, slot) -> (update, slot)``, the slot first made of the parameter."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        gs, spec = flatten(updates)
        both = [f(g, m) for g, m in zip(gs, arrayopt.tree.leaves(state), strict=True)]
        return spec.unflatten([_settle(u) for u, _ in both]), spec.unflatten([_settle(m) for _, m in both])

    def init(params: Any) -> Any:
        return arrayopt.tree.map(first, params)

    return GradientTransformation(init, update)


def nothing(params: Any) -> Any:
    del params
    return ()


def zeros(p: Any) -> Any:
    return namespace(p).zeros_like(p)


def to_one(g: Any) -> Any:
    return g / abs(g)


def by_its_square(g: Any) -> Any:
    return g / (namespace(g).clip(g * g, max=dtypes.greatest(g.dtype)) ** 0.5 + 1e-8)


def one_more(g: Any) -> Any:
    return g + 1.0


def by_the_greatest(g: Any) -> Any:
    return g * namespace(g).max(g)


def halved(g: Any) -> Any:
    return g * 0.5


def doubled_if_real(g: Any) -> Any:
    return g if dtypes.is_complex(g.dtype) else g * 2.0


def real_part(g: Any) -> Any:
    return namespace(g).real(g) if dtypes.is_complex(g.dtype) else g


def halved_in_place(g: Any) -> Any:
    g *= 0.5
    return g


def times_a_double(g: Any) -> Any:
    return g * np.sqrt(0.25)


def halved_by_numpy(g: Any) -> Any:
    return np.asarray(g) * 0.5


def less_in_numpy(g: Any) -> Any:
    return g * (0.5 if isinstance(g, np.ndarray) else 1.0)


def doubled_in_width(g: Any) -> Any:
    return namespace(g).astype(g, namespace(g).float64)


def off_the_axis(g: Any) -> Any:
    return g + 0.1j if dtypes.is_complex(g.dtype) else g


def times_a_value(g: Any) -> Any:
    total: Any = namespace(g).sum(g)
    return g * float(total)


def times_ones_of_the_default(g: Any) -> Any:
    return g * namespace(g).ones(g.shape)


def times_ones(g: Any) -> Any:
    return g * namespace(g).ones(g.shape, dtype=g.dtype)


def times_a_bound_scalar(g: Any) -> Any:
    return g * namespace(g).asarray(0.5, dtype=g.dtype, device=g.device)


def summed(g: Any, m: Any) -> tuple[Any, Any]:
    return g + m, g + m


def summed_and_shared(g: Any, m: Any) -> tuple[Any, Any]:
    m = g + m
    return m, m


def squared(g: Any, m: Any) -> tuple[Any, Any]:
    return g, m + g * g


# -- ways to be wrong as a whole -----------------------------------------------------------------------------


def counting_in_secret() -> GradientTransformation:
    """The step is counted outside the state."""
    steps = [0]

    def times_step(g: Any) -> Any:
        return g * float(steps[0])

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        steps[0] += 1
        return arrayopt.tree.map(settled(times_step), updates), state

    return GradientTransformation(nothing, update)


def counting_late() -> GradientTransformation:
    """The same from the third step on: the two recordings of a fused step do not show it."""
    steps = [0]

    def times_step(g: Any) -> Any:
        return g * float(max(steps[0], 2))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        steps[0] += 1
        return arrayopt.tree.map(settled(times_step), updates), state

    return GradientTransformation(nothing, update)


def counting(first: Callable[[Any], Any]) -> GradientTransformation:
    """The step is counted in fractions, from what is made of the parameters."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        return updates, {"count": _settle(state["count"] + 1.0)}

    def init(params: Any) -> Any:
        return {"count": first(params)}

    return GradientTransformation(init, update)


def whole_zero(params: Any) -> Any:
    p = arrayopt.tree.leaves(params)[0]
    return backend(p).counter(p)


def python_zero(params: Any) -> Any:
    del params
    return 0


def fading() -> GradientTransformation:
    """What is remembered fades also where there is no gradient."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        state = arrayopt.tree.map(settled(halved), state)
        gs, spec = flatten(updates)
        slots = by_path(state)
        return spec.unflatten([_settle(g + slots[path]) for path, g in zip(spec.paths(), gs, strict=True)]), state

    def init(params: Any) -> Any:
        return arrayopt.tree.map(settled(one_more), params)

    return GradientTransformation(init, update)


def blurring_what_is_empty() -> GradientTransformation:
    """Of a branch without leaves, only that is handed on."""

    def blurred(branch: Any) -> Any:
        return branch if arrayopt.tree.leaves(branch) else None

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        return {key: blurred(branch) for key, branch in updates.items()}, state

    return GradientTransformation(nothing, update)


def shaped_by_the_state() -> GradientTransformation:
    """The update has the structure of the state, whatever that of the gradients."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del updates, params
        return arrayopt.tree.map(settled(one_more), state), state

    def init(params: Any) -> Any:
        return arrayopt.tree.map(zeros, params)

    return GradientTransformation(init, update)


def needing_a_leaf() -> GradientTransformation:
    """It takes the first leaf, and the parameters, for granted."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        decay = 0.1 * arrayopt.tree.leaves(params)[0].ndim + 0 * len(params)
        return arrayopt.tree.scale(decay, updates), state

    return GradientTransformation(nothing, update)


def one_slot_twice() -> GradientTransformation:
    """Two slots are the same array."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        return updates, state

    def init(params: Any) -> Any:
        slot = arrayopt.tree.map(zeros, params)
        return slot, slot

    return GradientTransformation(init, update)

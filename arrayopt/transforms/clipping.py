"""Updates kept from growing too long, leaf by leaf or as a whole."""

from __future__ import annotations

import math
from typing import Any

from arrayopt import checks
from arrayopt.base import EmptyState, GradientTransformation, init_empty_state
from arrayopt.calls import by_call
from arrayopt.dispatch import backend, is_array
from arrayopt.lift import cast, check_scalar, lift, parameters
from arrayopt.numerics import length, limit, where
from arrayopt.tree.arithmetic import widest
from arrayopt.types import Array, OptState, Params, Scalar, Updates

ClipState = EmptyState


def _clipped(g: Array, *, max_delta: Scalar) -> Array:
    return limit(g, max_delta)


@by_call
def clip(max_delta: Scalar) -> GradientTransformation:
    """Clips every entry to [−c, c]. A complex one keeps its phase, and is clipped in magnitude.

    Args:
      max_delta: c ≥ 0, in units of the updates.

    Returns:
      A transform with `EmptyState`.

    Raises:
      ValueError: ``max_delta`` is out of range.
      TypeError: ``max_delta`` is neither a number nor a 0-d array.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.clip(1.0)
      >>> tx.update(np.asarray([0.5, -8.0]), tx.init(np.zeros(2)))[0]
      array([ 0.5, -1. ])
    """
    who, bound = checks.speaker(), checks.fixed("max_delta", max_delta, low=0.0)

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        del params
        check_scalar(who, "max_delta", bound, updates)
        return lift(who, _clipped, updates, max_delta=bound), state

    return GradientTransformation(init_empty_state, update)


def _within_rms(g: Array, *, threshold: Scalar) -> Array:
    return _shortened(g, **_scales([g], threshold * math.sqrt(max(math.prod(g.shape), 1))))


def _shortened(g: Array, *, divisor: Scalar, factor: Scalar) -> Array:
    return g / divisor * factor


def _scales(leaves: list[Array], max_norm: Scalar) -> dict[str, Any]:
    """What to divide and to multiply by: both 1 for what is within the norm, NaN for what is not finite."""
    divisor, rest = length(leaves)
    within = cast(divisor * rest, widest(leaves)) <= max_norm
    divisor, rest = where(within, 1.0, divisor), where(within, 1.0, rest)  # no 0 / 0, even where it is not selected
    return {"divisor": divisor, "factor": where(within, 1.0, max_norm / rest + (rest - rest))}


@by_call
def clip_by_block_rms(threshold: Scalar) -> GradientTransformation:
    """Scales each leaf down so that its root mean square is at most a threshold: u / max(1, rms(u) / d).

    A NaN or infinite entry makes NaN of its whole leaf.

    Args:
      threshold: d > 0, in units of the updates.

    Returns:
      A transform with `EmptyState`.

    Raises:
      ValueError: ``threshold`` is out of range.
      TypeError: ``threshold`` is neither a number nor a 0-d array.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.clip_by_block_rms(1.0)
      >>> g = {"small": np.ones(2), "large": np.full(4, -8.0)}
      >>> tx.update(g, tx.init(g))[0]
      {'small': array([1., 1.]), 'large': array([-1., -1., -1., -1.])}

    Source:
      Shazeer, Stern, 2018 (arXiv 1804.04235), section 6: Update Clipping.
    """
    who, bound = checks.speaker(), checks.fixed("threshold", threshold, above=0.0)

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        del params
        return lift(who, _within_rms, updates, threshold=bound), state

    return GradientTransformation(init_empty_state, update)


@by_call
def clip_by_global_norm(max_norm: Scalar) -> GradientTransformation:
    """Scales all leaves down together so that their joint Euclidean norm is at most a bound.

    g if ‖g‖ ≤ c, else g / ‖g‖ · c, the norm taken over the whole tree. A NaN or infinite entry makes NaN of every
    leaf.

    Args:
      max_norm: c ≥ 0, in units of the gradient.

    Returns:
      A transform with `EmptyState`.

    Raises:
      ValueError: ``max_norm`` is out of range.
      TypeError: ``max_norm`` is neither a number nor a 0-d array.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.clip_by_global_norm(1.0)
      >>> g = {"a": np.asarray([3.0]), "b": np.asarray([4.0])}
      >>> tx.update(g, tx.init(g))[0]
      {'a': array([0.6]), 'b': array([0.8])}

    Source:
      Pascanu, Mikolov, Bengio, 2013: On the difficulty of training recurrent neural networks (arXiv 1211.5063),
      Algorithm 1.
    """
    who, bound = checks.speaker(), checks.fixed("max_norm", max_norm, low=0.0)

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        del params
        leaves, _ = parameters(who, updates, "gradient")  # found fit before they are summed
        if not leaves:
            return updates, state
        check_scalar(who, "max_norm", bound, updates)
        max_norm = cast(backend(leaves[0]).receive(bound), widest(leaves)) if is_array(bound) else bound
        return lift(who, _shortened, updates, **_scales(leaves, max_norm)), state

    return GradientTransformation(init_empty_state, update)

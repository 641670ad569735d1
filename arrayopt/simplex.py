"""The Euclidean projection onto a simplex, along the last axis: what sparsemax and the projections share.

  argmin ‖x − p‖²  over  p ≥ 0, Σ p = s      is      p = max(x − τ, 0)

with the one τ for which Σ p = s. Of the entries in descending order u, those are positive that keep
k·u_k + s > u₁ + … + u_k; τ is their sum less s, over their number.

Held, Wolfe and Crowder, 1974: Validation of subgradient optimization. Duchi et al., 2008: Efficient projections onto
the l1-ball for learning in high dimensions, figure 1.
"""

from __future__ import annotations

from typing import NamedTuple

from arrayopt.dispatch import backend, namespace
from arrayopt.types import Array, Scalar


def threshold(x: Array, scale: Scalar = 1.0) -> tuple[Array, Array]:
    """How much is taken away from each entry, and which entries are positive after that.

    The derivative is that of a projection whose positive entries stay the same ones, of every order.

    Args:
      x: of shape (…, n), real, in the dtype to compute in; in NumPy, no scalar.
      scale: s ≥ 0, a number or an array that broadcasts against (…, 1).

    Returns:
      ``tau, support``, of shapes (…, 1) and (…, n): the projection is x − τ on the support and 0 elsewhere. Where x
      is not finite, τ is not either.
    """
    top, _, tau, support = _shifted(x, scale)
    return top + tau, support


class _Shifted(NamedTuple):
    top: Array  # the greatest entry of each row, a constant
    rest: Array  # x without it: what is far above 1 would cost digits
    tau: Array  # the threshold of the rest
    support: Array


def _shifted(x: Array, scale: Scalar) -> _Shifted:
    xp, still = namespace(x), backend(x).stop_gradient
    if x.shape[-1] == 0:
        none = xp.zeros((*x.shape[:-1], 1), dtype=x.dtype)
        return _Shifted(none, x, none, x > 0)
    top = still(xp.max(x, axis=-1, keepdims=True))
    rest = x - top
    support = _support(still(rest), scale)
    return _Shifted(top, rest, _excess(rest, support, scale), support)


def _excess(x: Array, chosen: Array, scale: Scalar) -> Array:
    """(Σ x − s) / k over the k entries of a row that are chosen; −s if none is."""
    xp = namespace(x)
    count = xp.sum(xp.astype(chosen, x.dtype), axis=-1, keepdims=True)
    total = xp.sum(xp.where(chosen, x, xp.zeros_like(x)), axis=-1, keepdims=True) - scale
    return total / xp.where(count > 0, count, xp.ones_like(count))


def _support(x: Array, scale: Scalar) -> Array:
    """Which entries stay positive; of entries the greatest of which is 0."""
    xp = namespace(x)
    u = xp.sort(x, axis=-1, descending=True)
    ranks = xp.cumulative_sum(xp.ones_like(x), axis=-1)
    keeps = ranks * u + scale > xp.cumulative_sum(u, axis=-1)
    return x > _excess(u, keeps, scale)


def project(x: Array, scale: Scalar = 1.0) -> Array:
    """The projection of each row; arguments as of `threshold`. Where a row is not finite, the result is NaN.

    Example:
      >>> import numpy as np
      >>> from arrayopt.simplex import project
      >>> project(np.asarray([0.5, 1.1, -0.3]))
      array([0.2, 0.8, 0. ])
    """
    xp = namespace(x)
    top, rest, tau, support = _shifted(x, scale)
    return xp.where(support, rest - tau, xp.zeros_like(x) * (top + tau))

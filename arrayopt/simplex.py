"""The Euclidean projection onto a simplex, along the last axis: what sparsemax and the projections share.

  argmin ‖x − p‖²  over  p ≥ 0, Σ p = s      is      p = max(x − τ, 0)

with the one τ for which Σ p = s. With u the entries in descending order, u_k is above τ if

  G_k = Σᵢ (uᵢ − u_k) over i ≤ k  is less than  s,      and for the last such k      τ = u_k − (s − G_k) / k.

G is formed as Σ i·(uᵢ − uᵢ₊₁) over i < k: its terms are not negative, so it keeps its digits where sums of the u
themselves lose theirs to a k of millions.

Held, Wolfe and Crowder, 1974: Validation of subgradient optimization. Duchi et al., 2008: Efficient projections onto
the l1-ball for learning in high dimensions, figure 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from arrayopt.dispatch import backend, namespace
from arrayopt.numerics import at_least, where
from arrayopt.types import Array, Scalar


def threshold(x: Array, scale: Scalar = 1.0) -> tuple[Array, Array]:
    """How much is taken away from each entry, and which entries are positive after that.

    The derivative is that of a projection whose positive entries stay the same ones, of every order.

    Args:
      x: of shape (…, n), real, in the dtype to compute in; in NumPy, no scalar.
      scale: s ≥ 0, a number or an array that broadcasts against (…, 1).

    Returns:
      ``tau, support``, of shapes (…, 1) and (…, n): the projection is x − τ on the support and 0 elsewhere. Where x
      is NaN or ∞, τ is NaN.
    """
    if 0 in x.shape:
        return _nothing(x), x > 0
    top, width, gap, pivot, excess = _shifted(x, scale)
    return top + width * (pivot + excess), (gap > 0) & (gap > excess)


def project(x: Array, scale: Scalar = 1.0) -> Array:
    """The projection of each row; arguments as of `threshold`. Where a row has NaN or ∞, the result is NaN.

    More digits are right than x − τ has where the entries are many and near one another.

    Example:
      >>> import numpy as np
      >>> from arrayopt.simplex import project
      >>> project(np.asarray([0.5, 1.1, -0.3]))
      array([0.2, 0.8, 0. ])
    """
    if 0 in x.shape:
        return x
    _, _, gap, _, excess = _shifted(x, scale)
    is_out = (gap <= 0) | (gap <= excess)  # of NaN neither holds, and it shows
    return cast(Array, scale * where(is_out, 0.0, gap - excess))


class _Shifted(NamedTuple):
    """A row in units of its scale, its greatest entry at 0. But for ``gap`` all are of shape (…, 1)."""

    top: Array  # the greatest entry, a constant
    width: Scalar  # the scale, 1 where that is 0
    gap: Array  # by how much an entry is above the threshold, as found by sorting
    pivot: Array  # that threshold, a constant
    excess: Array  # what is still missing in it, which carries the derivative


def _shifted(x: Array, scale: Scalar) -> _Shifted:
    xp, still = namespace(x), backend(x).stop_gradient
    width = cast(Scalar, where(scale > 0, scale, 1.0))
    top = still(xp.max(x, axis=-1, keepdims=True))
    below = at_least(0.5 * x - 0.5 * top, -0.5 * width)  # halves, whose difference does not overflow
    rest = below / (0.5 * width)
    pivot, offset = _sorted_out(still(rest))
    gap = (rest - pivot) + offset  # near the threshold the difference is exact
    chosen = gap > 0
    excess = (_summed(where(chosen, gap, 0.0)) - 1.0) / _count(chosen, rest)
    return _Shifted(top, width, gap, pivot - offset, excess)


def _sorted_out(x: Array) -> tuple[Array, Array]:
    """The last entry above the threshold, and by how much it is; of rows whose greatest entry is 0, for s = 1."""
    xp: Any = namespace(x)
    wide, sums = backend(x).wide(), backend(x).cumulative_sum
    u = xp.sort(x, axis=-1, descending=True)
    rank: Any = sums(xp.ones_like(x), wide)
    steps = rank[..., :-1] * (u[..., :-1] - u[..., 1:])
    above = xp.astype(sums(steps, wide, True), x.dtype)
    kept = above < 1.0
    pivot = xp.min(where(kept, u, 0.0), axis=-1, keepdims=True)
    return pivot, (1.0 - xp.max(where(kept, above, 0.0), axis=-1, keepdims=True)) / _count(kept, x)


def _count(chosen: Array, like: Array) -> Array:
    """How many of a row are chosen, 1 at least."""
    return at_least(_summed(namespace(like).astype(chosen, like.dtype)), 1.0)


def _summed(x: Array) -> Array:
    return namespace(x).sum(x, axis=-1, dtype=x.dtype, keepdims=True)


def _nothing(x: Array) -> Array:
    """What a row without entries has for a threshold."""
    shape = (*x.shape[:-1], 1)
    return namespace(x).zeros(shape, dtype=x.dtype)

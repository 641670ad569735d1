"""A rule of matrix products, planted: what the suite does for those, it does for this one. See ``test_matrices``.

    M ← β M + (1 − β) G        L ← β L + (1 − β) G Gᵀ
    X = M / ‖M‖                U = L (3 X − X Xᵀ X) / 2

of a matrix G; of what is none, M. The step, Newton's and Schulz's, takes the singular values of X towards 1.
"""

from __future__ import annotations

from typing import NamedTuple

from arrayopt import checks
from arrayopt.base import GradientTransformation, remembering
from arrayopt.calls import by_call
from arrayopt.dispatch import namespace
from arrayopt.lift import lift, parameters, slots_like, zeros_slot
from arrayopt.numerics import ema, sqrt, total
from arrayopt.types import Array, Params, Scalar, ScalarOrSchedule, Tree, Updates


class MatrixState(NamedTuple):
    """State of `by_matrices`."""

    mu: Tree  # M, like the parameters
    left: Tree  # L, (n, n) for a matrix of n rows; zeros like the parameter for what is none


def _by_matrices(g: Array, mu: Array, left: Array, *, p: Array, decay: Scalar) -> tuple[Array, Array, Array]:
    del p  # its shape was checked, those of the slots need not be its
    mu = ema(mu, g, decay)
    if g.ndim != 2:
        return mu, mu, left
    left = ema(left, g @ g.mT, decay)
    x = mu / sqrt(total(mu * mu))
    return left @ (1.5 * x - 0.5 * (x @ x.mT) @ x), mu, left


@by_call
def by_matrices(decay: ScalarOrSchedule = 0.9) -> GradientTransformation:
    """The rule; ``decay`` in [0, 1)."""
    who, b = checks.speaker(), checks.decay("decay", decay)

    def init(params: Params) -> MatrixState:
        leaves, spec = parameters(who, params)
        return MatrixState(slots_like(who, params), spec.unflatten([_left(leaf) for leaf in leaves]))

    def update(updates: Updates, state: MatrixState, params: Params = None) -> tuple[Updates, MatrixState]:
        checks.need_params(who, params)
        u, mu, left = lift(who, _by_matrices, updates, state.mu, state.left, params=params, decay=b)
        return u, MatrixState(mu, left)

    return remembering(who, MatrixState, init, update)


def _left(leaf: Array) -> Array:
    zeros = zeros_slot(leaf)
    return zeros if leaf.ndim != 2 else namespace(leaf).zeros_like(zeros @ zeros.mT)

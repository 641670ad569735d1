"""The ball and the sphere of the Euclidean norm."""

from __future__ import annotations

import math
from typing import Any, cast

from arrayopt.numerics import length, sqrt, where
from arrayopt.projections.leaves import Leaves, check_scale, leaves
from arrayopt.tree.structure import flatten
from arrayopt.types import Array, Tree

_NORMAL = {"float32": 2.0**-120, "float64": 2.0**-1000}
"""Above these there is no loss of digits."""


def projection_l2_ball(tree: Tree, scale: Any = 1) -> Tree:
    """The nearest point whose norm is at most a scale: x · scale / max(‖x‖, scale).

      argmin ‖x − p‖₂²  over  ‖p‖₂ ≤ scale

    Args:
      tree: x, real arrays of any shapes and floating-point dtypes, or Python numbers.
      scale: radius of the ball, at least 0; a number or a 0-d array.

    Returns:
      p, a tree of the structure and shapes of ``tree``, all in the dtype that the leaves and the scale promote to: x
      itself if it is in the ball.

    Raises:
      TypeError: something is neither a floating-point array nor a number, or of another library than the rest.
      ValueError: the scale is a negative number, or not a scalar.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.projections.projection_l2_ball({"w": np.asarray([3.0, 0.0]), "b": np.asarray(4.0)}, 10.0)
      {'w': array([3., 0.]), 'b': array(4.)}
      >>> arrayopt.projections.projection_l2_ball({"w": np.asarray([3.0, 0.0]), "b": np.asarray(4.0)})
      {'w': array([0.6, 0. ]), 'b': array(0.8)}

    Source:
      Parikh and Boyd, 2014: Proximal algorithms, section 6.5.1.
    """
    who = "projection_l2_ball"
    check_scale(who, scale)
    if not flatten(tree)[0]:
        return tree
    of = leaves(who, "tree", tree, scale=scale)
    norm, radius = _root_of_norm(of), _root(of.number)
    longest = of.given.xp.maximum(norm, radius)
    first, second = _factors(of, radius / where(longest > 0, longest, 1.0))
    return of.promoted([x * first * second for x in of.xs])


def projection_l2_sphere(tree: Tree, scale: Any = 1) -> Tree:
    """The nearest point whose norm is a scale: x · scale / ‖x‖.

      argmin ‖x − p‖₂²  over  ‖p‖₂ = scale

    Args:
      tree: x, real arrays of any shapes and floating-point dtypes, or Python numbers. Where all entries are zero,
        every point of the sphere is as near: the one whose entries are equal is taken.
      scale: radius of the sphere, at least 0; a number or a 0-d array.

    Returns:
      p, a tree of the structure and shapes of ``tree``, all in the dtype that the leaves and the scale promote to.

    Raises:
      TypeError: something is neither a floating-point array nor a number, or of another library than the rest.
      ValueError: the scale is a negative number, or not a scalar.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.projections.projection_l2_sphere(np.asarray([0.3, 0.4]), 10.0)
      array([6., 8.])
    """
    who = "projection_l2_sphere"
    check_scale(who, scale)
    if not flatten(tree)[0]:
        return tree
    of = leaves(who, "tree", tree, scale=scale)
    norm = of.given.widened(_root_of_norm(of))
    divisor = where(norm > 0, norm, 1.0)
    equal = 1 / math.sqrt(max(sum([math.prod(x.shape) for x in of.xs]), 1))
    return of.promoted([where(norm <= 0, equal, x / divisor / divisor) * of.number for x in of.xs])


def _factors(of: Leaves, root: Array) -> tuple[Array, Array]:
    """Two numbers whose product is the square of a root: it and 1, or the root twice where it would underflow."""
    whole = root * root
    is_in_range = whole > _NORMAL[of.given.wide]
    return of.given.widened(where(is_in_range, whole, root)), of.given.widened(where(is_in_range, 1.0, root))


def _root_of_norm(of: Leaves) -> Array:
    """√‖x‖, which is in range where the norm may not be."""
    divisor, rest = length(of.xs)
    return _root(divisor) * _root(rest)


def _root(x: Array) -> Array:
    """√x, its derivative at 0 being 0."""
    is_positive = x > 0
    return cast(Array, where(is_positive, sqrt(where(is_positive, x, 1.0)), x))

"""The simplex, and what is found by way of it: the ball and the sphere of the norm Σ |x|."""

from __future__ import annotations

import math
from typing import Any, cast

from arrayopt import simplex
from arrayopt.numerics import magnitude, where
from arrayopt.projections.leaves import Leaves, check_scale, leaves
from arrayopt.tree.structure import flatten
from arrayopt.types import Array, Tree


def projection_simplex(tree: Tree, scale: Any = 1) -> Tree:
    """The nearest point whose entries are not negative and add up to a scale: max(x − τ, 0).

      argmin ‖x − p‖₂²  over  p ≥ 0, Σ p = scale

    The entries of all leaves add up to the scale together. By default it is the simplex of probabilities.

    Args:
      tree: x, real arrays of any shapes and floating-point dtypes, or Python numbers. An entry −∞ becomes 0.
      scale: what the entries are to add up to, at least 0; a number or a 0-d array. At 0 all become 0.

    Returns:
      p, a tree of the structure, shapes and dtypes of ``tree``.

    Raises:
      TypeError: something is neither a floating-point array nor a number, or of another library than the rest.
      ValueError: the scale is a negative number, or not a scalar.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.projections.projection_simplex({"w": np.asarray([2.5, 3.25]), "b": np.asarray(0.5)})
      {'w': array([0.125, 0.875]), 'b': array(0.)}

    Source:
      Duchi, Shalev-Shwartz, Singer and Chandra, 2008: Efficient projections onto the l1-ball for learning in high
      dimensions, figure 1.
    """
    who = "projection_simplex"
    check_scale(who, scale)
    if not flatten(tree)[0]:
        return tree
    of = leaves(who, "tree", tree, scale=scale)
    return _parted(of, simplex.project(_joined(of), of.number))


def projection_l1_sphere(tree: Tree, scale: Any = 1) -> Tree:
    """The nearest point whose magnitudes add up to a scale: sign(x) · max(|x| − τ, 0).

      argmin ‖x − p‖₂²  over  ‖p‖₁ = scale

    Args:
      tree: x, real arrays of any shapes and floating-point dtypes, or Python numbers. A zero counts as positive: of
        two points that are equally near it is the one taken.
      scale: radius of the sphere, at least 0; a number or a 0-d array.

    Returns:
      p, a tree of the structure, shapes and dtypes of ``tree``.

    Raises:
      TypeError: something is neither a floating-point array nor a number, or of another library than the rest.
      ValueError: the scale is a negative number, or not a scalar.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.projections.projection_l1_sphere(np.asarray([0.25, -0.5, 0.0]))
      array([ 0.33333333, -0.58333333,  0.08333333])

    Source:
      Duchi, Shalev-Shwartz, Singer and Chandra, 2008: Efficient projections onto the l1-ball for learning in high
      dimensions, section 4.
    """
    who = "projection_l1_sphere"
    check_scale(who, scale)
    if not flatten(tree)[0]:
        return tree
    of = leaves(who, "tree", tree, scale=scale)
    return _parted(of, _on_sphere(_joined(of), of.number))


def projection_l1_ball(tree: Tree, scale: Any = 1) -> Tree:
    """The nearest point whose magnitudes add up to at most a scale.

      argmin ‖x − p‖₂²  over  ‖p‖₁ ≤ scale

    Args:
      tree: x, real arrays of any shapes and floating-point dtypes, or Python numbers.
      scale: radius of the ball, at least 0; a number or a 0-d array.

    Returns:
      p, a tree of the structure, shapes and dtypes of ``tree``: x itself if it is in the ball.

    Raises:
      TypeError: something is neither a floating-point array nor a number, or of another library than the rest.
      ValueError: the scale is a negative number, or not a scalar.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.projections.projection_l1_ball({"w": np.asarray([2.5, -3.25]), "b": np.asarray(0.5)})
      {'w': array([ 0.125, -0.875]), 'b': array(0.)}

    Source:
      Duchi, Shalev-Shwartz, Singer and Chandra, 2008: Efficient projections onto the l1-ball for learning in high
      dimensions, section 4.
    """
    who = "projection_l1_ball"
    check_scale(who, scale)
    if not flatten(tree)[0]:
        return tree
    of = leaves(who, "tree", tree, scale=scale)
    x, given = _joined(of), of.given
    norm = given.xp.sum(magnitude(x), dtype=given.backend.wide())
    p = given.backend.cond(norm <= of.number, lambda: x, lambda: _on_sphere(x, of.number))
    return _parted(of, p)


def _on_sphere(x: Array, scale: Array) -> Array:
    p = simplex.project(magnitude(x), scale)
    return cast(Array, where(x < 0, -p, p))


def _joined(of: Leaves) -> Array:
    """The entries of all leaves as one vector."""
    flat = [of.given.xp.reshape(x, (-1,)) for x in of.xs]
    return flat[0] if len(flat) == 1 else of.given.xp.concat(flat)


def _parted(of: Leaves, p: Any) -> Tree:
    """The vector as a tree again."""
    found: list[Array] = []
    start = 0
    for x in of.xs:
        end = start + math.prod(x.shape)
        found.append(of.given.xp.reshape(p[start:end], x.shape))
        start = end
    return of.kept([*found])

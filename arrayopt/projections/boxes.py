"""Bounds for each entry by itself: the non-negative orthant, boxes, hypercubes, the ball of the maximum norm."""

from __future__ import annotations

from typing import Any

from arrayopt.numerics import where
from arrayopt.projections.leaves import Leaves, bounds, check_scale, leaves
from arrayopt.tree.structure import flatten
from arrayopt.types import Array, Tree


def projection_non_negative(tree: Tree) -> Tree:
    """The nearest point without negative entries: max(x, 0).

      argmin ‖x − p‖₂²  over  p ≥ 0

    Args:
      tree: x, real arrays of any shapes and floating-point dtypes, or Python numbers.

    Returns:
      p, a tree of the structure, shapes and dtypes of ``tree``. The derivative at 0 is 0.

    Raises:
      TypeError: a leaf is neither a floating-point array nor a number.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.projections.projection_non_negative({"w": np.asarray([-1.0, 2.0])})
      {'w': array([0., 2.])}

    Source:
      Parikh and Boyd, 2014: Proximal algorithms, section 6.2.4.
    """
    if not flatten(tree)[0]:
        return tree
    of = leaves("projection_non_negative", "tree", tree)
    return of.kept([where(x <= 0, 0.0, x) for x in of.xs])


def projection_box(tree: Tree, lower: Any, upper: Any) -> Tree:
    """The nearest point within bounds: min(max(x, lower), upper).

      argmin ‖x − p‖₂²  over  lower ≤ p ≤ upper

    Args:
      tree: x, real arrays of any shapes and floating-point dtypes, or Python numbers.
      lower: a number or an array that broadcasts to each leaf, or a tree of them of the structure of ``tree``. None,
        also in that tree, leaves this side open.
      upper: likewise; where it is below ``lower`` the answer is ``upper``.

    Returns:
      p, a tree of the structure and shapes of ``tree``; a leaf has the dtype that it and its bounds promote to.

    Raises:
      StructureError: bounds are a tree of another structure.
      TypeError: something is neither a floating-point array nor a number, or of another library than the rest.
      ValueError: a bound does not broadcast to its leaf, or is a number below the lower one.

    Example:
      >>> import arrayopt, numpy as np
      >>> x = {"w": np.asarray([-1.0, 2.0, 3.0]), "b": np.asarray(0.5)}
      >>> arrayopt.projections.projection_box(x, {"w": 0.0, "b": 1.0}, {"w": np.asarray([1.0, 2.0, 2.5]), "b": None})
      {'w': array([0. , 2. , 2.5]), 'b': array(1.)}

    Source:
      Parikh and Boyd, 2014: Proximal algorithms, section 6.2.4.
    """
    return _boxed("projection_box", tree, lower, upper)


def projection_hypercube(tree: Tree, scale: Any = 1) -> Tree:
    """The nearest point with entries between 0 and a scale: min(max(x, 0), scale).

      argmin ‖x − p‖₂²  over  0 ≤ p ≤ scale

    Args:
      tree: x, real arrays of any shapes and floating-point dtypes, or Python numbers.
      scale: length of the edges: a number or an array that broadcasts to each leaf, or a tree of them.

    Returns:
      p, as from `projection_box`.

    Raises:
      StructureError: the scale is a tree of another structure.
      TypeError: something is neither a floating-point array nor a number, or of another library than the rest.
      ValueError: a scale does not broadcast to its leaf, or is a negative number.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.projections.projection_hypercube(np.asarray([-1.0, 2.0, 0.5]))
      array([0. , 1. , 0.5])

    Source:
      Parikh and Boyd, 2014: Proximal algorithms, section 6.2.4.
    """
    check_scale("projection_hypercube", scale)
    return _boxed("projection_hypercube", tree, 0, scale)


def projection_linf_ball(tree: Tree, scale: Any = 1) -> Tree:
    """The nearest point whose entries have magnitudes of at most a scale.

      argmin ‖x − p‖₂²  over  ‖p‖∞ ≤ scale

    Args:
      tree: x, real arrays of any shapes and floating-point dtypes, or Python numbers.
      scale: radius of the ball, at least 0; a number or a 0-d array.

    Returns:
      p, a tree of the structure, shapes and dtypes of ``tree``.

    Raises:
      TypeError: something is neither a floating-point array nor a number, or of another library than the rest.
      ValueError: the scale is a negative number, or not a scalar.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.projections.projection_linf_ball({"w": np.asarray([-3.0, 0.5]), "b": np.asarray(2.0)})
      {'w': array([-1. ,  0.5]), 'b': array(1.)}

    Source:
      Parikh and Boyd, 2014: Proximal algorithms, section 6.5.1.
    """
    who = "projection_linf_ball"
    check_scale(who, scale)
    if not flatten(tree)[0]:
        return tree
    of = leaves(who, "tree", tree, scale=scale)
    return of.kept([_clipped(of, x, -of.number, of.number) for x in of.xs])


def _boxed(who: str, tree: Tree, lower: Any, upper: Any) -> Tree:
    if not flatten(tree)[0]:
        return tree
    columns = {name: bounds(who, name, tree, bound) for name, bound in (("lower", lower), ("upper", upper))}
    for low, high in zip(*columns.values(), strict=True):
        if type(low) in (float, int) and type(high) in (float, int) and not low <= high:
            raise ValueError(f"{who}: lower must not be above upper; got {low!r} and {high!r}.")
    of = leaves(who, "tree", tree, columns)
    return of.kept([_clipped(of, *row) for row in zip(of.xs, *of.others, strict=True)])


def _clipped(of: Leaves, x: Array, low: Any, high: Any) -> Array:
    """By ``maximum`` and ``minimum``, whose derivative at a bound is ½, as Optax's."""
    above = x if low is None else of.given.xp.maximum(x, low)
    return above if high is None else of.given.xp.minimum(above, high)

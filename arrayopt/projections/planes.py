"""The line along a vector, the plane across it, and the half of the space on one side of the plane.

With u = a/‖a‖: norms and inner products are formed of u and of entries brought to 1, so they stay in range.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

from arrayopt.numerics import length, magnitude, total, where
from arrayopt.projections.leaves import Leaves, alike, leaves
from arrayopt.types import Array, Tree


def projection_vector(x: Tree, a: Tree) -> Tree:
    """The nearest multiple of a vector: ⟨x, a⟩ / ⟨a, a⟩ · a.

    Args:
      x: real arrays of any shapes and floating-point dtypes, or Python numbers.
      a: the vector, a tree of the structure and shapes of ``x``. Where it is zero, so is the answer.

    Returns:
      a tree of the structure and shapes of ``x``, all in the dtype that both trees promote to.

    Raises:
      StructureError: the trees have different structures.
      TypeError: something is neither a floating-point array nor a number, or of another library than the rest.
      ValueError: two leaves have different shapes.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.projections.projection_vector(np.asarray([1.0, 2.0]), np.asarray([3.0, 4.0]))
      array([1.32, 1.76])
    """
    who = "projection_vector"
    column = alike(who, ("x", "a"), x, a)
    if not column:
        return x
    of = leaves(who, "x", x, {"a": column})
    u = _direction(of)[0]
    unit = _unit(of, [magnitude(x) for x in of.xs])
    along = _inner([x / unit for x in of.xs], u)
    return of.promoted([along * v * unit for v in u])


def projection_hyperplane(x: Tree, a: Tree, b: Any) -> Tree:
    """The nearest point of a hyperplane: x + (b − ⟨x, a⟩) / ⟨a, a⟩ · a.

      argmin ‖x − y‖₂²  over  ⟨a, y⟩ = b

    Args:
      x: real arrays of any shapes and floating-point dtypes, or Python numbers.
      a: the normal of the plane, a tree of the structure and shapes of ``x``. Where it is zero, the answer is ``x``.
      b: the offset of the plane, a number or a 0-d array.

    Returns:
      y, a tree of the structure and shapes of ``x``, all in the dtype that all arguments promote to.

    Raises:
      StructureError: the trees have different structures.
      TypeError: something is neither a floating-point array nor a number, or of another library than the rest.
      ValueError: two leaves have different shapes, or b is not a scalar.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.projections.projection_hyperplane(np.asarray([1.0, 2.0]), np.asarray([3.0, 4.0]), 5.0)
      array([0.28, 1.04])

    Source:
      Parikh and Boyd, 2014: Proximal algorithms, section 6.2.2.
    """
    return _moved("projection_hyperplane", x, a, b, lambda of, way: way)


def projection_halfspace(x: Tree, a: Tree, b: Any) -> Tree:
    """The nearest point of a halfspace: x + min(b − ⟨x, a⟩, 0) / ⟨a, a⟩ · a.

      argmin ‖x − y‖₂²  over  ⟨a, y⟩ ≤ b

    Args:
      x: real arrays of any shapes and floating-point dtypes, or Python numbers.
      a: the normal of its plane, pointing out of it; a tree of the structure and shapes of ``x``. Where it is zero,
        the answer is ``x``.
      b: the offset of the plane, a number or a 0-d array.

    Returns:
      y, a tree of the structure and shapes of ``x``, all in the dtype that all arguments promote to: x itself if it
      is in the halfspace.

    Raises:
      StructureError: the trees have different structures.
      TypeError: something is neither a floating-point array nor a number, or of another library than the rest.
      ValueError: two leaves have different shapes, or b is not a scalar.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.projections.projection_halfspace(np.asarray([1.0, 2.0]), np.asarray([3.0, 4.0]), 5.0)
      array([0.28, 1.04])
      >>> arrayopt.projections.projection_halfspace(np.asarray([1.0, -2.0]), np.asarray([3.0, 4.0]), 5.0)
      array([ 1., -2.])

    Source:
      Parikh and Boyd, 2014: Proximal algorithms, section 6.2.3.
    """
    return _moved("projection_halfspace", x, a, b, _not_outwards)


def _not_outwards(of: Leaves, way: Array) -> Array:
    return of.given.xp.minimum(way, of.given.xp.zeros_like(way))


def _moved(who: str, x: Tree, a: Tree, b: Any, allowed: Callable[[Leaves, Array], Array]) -> Tree:
    """x moved along the normal, as far as is allowed of the way to the plane."""
    column = alike(who, ("x", "a"), x, a)
    if not column:
        return x
    of = leaves(who, "x", x, {"a": column}, b=b)
    u, divisor, rest = _direction(of)
    offset = of.number / divisor / rest
    unit = _unit(of, [magnitude(offset), *[magnitude(x) for x in of.xs]])
    way = allowed(of, offset / unit - _inner([x / unit for x in of.xs], u))
    return of.promoted([x + way * v * unit for x, v in zip(of.xs, u, strict=True)])


def _direction(of: Leaves) -> tuple[list[Array], Array, Array]:
    """The leaves of a/‖a‖, zero where a is; and ‖a‖ as a product, 1 there."""
    divisor, rest = [of.given.widened(part) for part in length(of.others[0])]
    is_some = (rest > 0) & (divisor > 0)
    divisor, rest = where(is_some, divisor, 1.0), where(is_some, rest, 1.0)
    return [v / divisor / rest for v in of.others[0]], divisor, rest


def _unit(of: Leaves, magnitudes: list[Array]) -> Array:
    """The greatest of these, a constant; 1 where it is zero or not finite."""
    xp = of.given.xp
    greatest = [xp.max(x) for x in magnitudes if math.prod(x.shape)]
    found = xp.max(xp.stack(greatest)) if greatest else of.given.backend.number(1.0, of.xs[0])
    return cast(Array, of.given.backend.stop_gradient(where((found > 0) & (found < math.inf), found, 1.0)))


def _inner(xs: list[Array], u: list[Array]) -> Array:
    """⟨x, u⟩."""
    first, *others = [total(x * v) for x, v in zip(xs, u, strict=True)]
    for other in others:
        first = first + other
    return first

"""What a library that takes derivatives is to see otherwise than it is computed.

NumPy, CuPy and whatever takes none see the values only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from arrayopt import dtypes
from arrayopt.answers import described
from arrayopt.counts import bare
from arrayopt.dispatch import backend, is_array, namespace
from arrayopt.tree.structure import flatten
from arrayopt.types import Array, Scalar, Tree


def stop_gradient(tree: Tree) -> Tree:
    """The same values, as constants: derivatives with respect to them are 0.

    Args:
      tree: of arrays; whatever else is in it stays.

    Example:
      >>> import numpy as np
      >>> from arrayopt.derivatives import stop_gradient
      >>> stop_gradient({"w": np.asarray([1.0, 2.0])})
      {'w': array([1., 2.])}
    """
    leaves, spec = flatten(tree)
    return spec.unflatten([backend(x).stop_gradient(x) if is_array(x) else x for x in leaves])


def custom_jvp(jvp: Callable[[Any, Any], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a function its derivative: a decorator.

    The function takes one to three real floating-point arrays of one library, and nothing else that has a derivative;
    what it closes over must be no array. It answers with one array. Derivatives of second order are those of ``jvp``.

    Args:
      jvp: from ``xs, tangents``, two tuples of arrays that look alike, to the tangent of the answer, of the answer's
        shape and dtype; linear in the tangents. On JAX it is what ``jax.custom_jvp`` is given, on Torch its transpose
        is the backward pass.

    Example:
      >>> import numpy as np
      >>> from arrayopt.derivatives import custom_jvp
      >>> @custom_jvp(lambda xs, tangents: 2 * xs[0] * tangents[0])
      ... def square(x):
      ...     return x * x
      >>> square(np.asarray([1.0, 3.0]))
      array([1., 9.])
    """

    def given(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def known(*xs: Any) -> Any:
            return backend(xs[0]).custom_jvp(function, jvp, xs)

        return known

    return given


def scale_gradient(inputs: Tree, scale: Scalar) -> Tree:
    """The same tree, whose derivative is multiplied by a number in the backward pass, or along a tangent.

      y = x,   dy = scale · dx

    Args:
      inputs: a tree of arrays; integers, and what is no array, stay as they are.
      scale: a number or a 0-d array; a constant to whatever takes derivatives. Negative, it reverses a gradient.

    Returns:
      The tree: the same values, in the same dtypes.

    Raises:
      TypeError: ``scale`` is no number and no array.
      ValueError: it is an array that is not 0-d.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.scale_gradient({"w": np.asarray([1.0, 2.0])}, 0.1)
      {'w': array([1., 2.])}

    Source:
      Optax has it. Ganin and Lempitsky, 2015: Unsupervised domain adaptation by backpropagation, equation 9, with
      scale = −λ.
    """
    factor: Any = bare(scale)
    if is_array(factor):
        if tuple(factor.shape) != ():
            raise ValueError(f"scale_gradient: scale must be 0-d; its shape is {tuple(factor.shape)}.")
    elif not isinstance(factor, (int, float)):
        raise TypeError(f"scale_gradient: scale must be a number or a 0-d array; got {described(scale)}.")
    if type(factor) in (int, float) and factor in (0, 1):
        return inputs if factor else stop_gradient(inputs)
    leaves, spec = flatten(inputs)
    return spec.unflatten([_scaled(x, factor) if _has_derivative(x) else x for x in leaves])


def _has_derivative(x: Any) -> bool:
    return is_array(x) and dtypes.is_inexact(x.dtype)


def _scaled(x: Array, factor: Any) -> Any:
    """x, its derivative scaled in its own dtype."""
    of = backend(x)
    factor = of.receive(factor) if is_array(factor) else of.number(float(factor), x)
    return _itself(x, of.stop_gradient(namespace(x).astype(factor, x.dtype)))


def _scaled_tangent(xs: Any, tangents: Any) -> Any:
    return xs[1] * tangents[0]


@custom_jvp(_scaled_tangent)
def _itself(x: Array, scale: Array) -> Array:
    """x; `scale` is for the derivative."""
    del scale
    return x

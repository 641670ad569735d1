"""Losses made of the greatest value of an optimization problem: Fenchel-Young losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arrayopt.operands import operands
from arrayopt.types import Array


def make_fenchel_young_loss(max_fun: Callable[..., Any]) -> Callable[..., Array]:
    """The Fenchel-Young loss of a function Ω*, such as the logarithm of the sum of exponentials.

      loss(θ, y) = Ω*(θ) − y · θ

    But for the constant Ω(y) it is that of the paper; its derivative by θ is ∇Ω*(θ) − y.

    Args:
      max_fun: Ω*(θ) = max over μ of θ · μ − Ω(μ): from a row of scores, of shape (n,), to a 0-d array of the same
        library. On JAX and Torch it is mapped over the rows by ``vmap``, elsewhere called for each.

    Returns:
      ``loss(scores, targets, *args, **kwargs)``: scores θ and targets y of shape (…, n), which broadcast; what else is
      given goes on to ``max_fun``. It answers with an array of shape (…).

    Example:
      >>> import arrayopt, numpy as np
      >>> loss = arrayopt.losses.make_fenchel_young_loss(lambda x: np.log(np.sum(np.exp(x))))
      >>> scores, targets = np.log([[0.2, 0.8], [0.5, 0.5]]), np.eye(2)
      >>> np.exp(-loss(scores, targets))  # the softmax cross entropy
      array([0.2, 0.5])

    Source:
      Blondel, Martins and Niculae, 2020: Learning with Fenchel-Young losses, definition 2.
    """

    def fenchel_young_loss(scores: Any, targets: Any, *args: Any, **kwargs: Any) -> Array:
        given = operands("fenchel_young_loss", {"scores": scores}, {"targets": targets})
        x, y = given.values[0], given.widened(given.values[1])
        if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[-1]:
            raise ValueError(
                "fenchel_young_loss: scores and targets must be of shape (…, n), with the same n; "
                f"got {tuple(x.shape)} and {tuple(y.shape)}."
            )

        def greatest(row: Array) -> Array:
            found = given.backend.settle(max_fun(row, *args, **kwargs))
            if tuple(found.shape) != ():
                raise ValueError(
                    f"fenchel_young_loss: max_fun must answer with a 0-d array; its shape is {tuple(found.shape)}."
                )
            return given.widened(found)

        return given.rounded(_mapped(given, greatest, x) - given.xp.sum(x * y, axis=-1, dtype=x.dtype))

    return fenchel_young_loss


def _mapped(given: Any, f: Callable[[Array], Array], x: Array) -> Array:
    """f of each row, the last axis."""
    *rows, n = x.shape
    if not rows:
        return f(x)
    if 0 in rows:
        return given.xp.zeros_like(given.xp.sum(x, axis=-1, dtype=x.dtype))
    return given.xp.reshape(given.backend.vmap(f, given.xp.reshape(x, (-1, n))), tuple(rows))

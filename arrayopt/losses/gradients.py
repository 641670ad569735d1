"""A loss with its derivative, also where the library differentiates nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from arrayopt.answers import described
from arrayopt.dispatch import backend, is_array
from arrayopt.losses.closed import SLOPES
from arrayopt.operands import operands
from arrayopt.types import Array

ValueAndGrad = Callable[..., tuple[Any, Any]]


def value_and_grad(loss: Callable[..., Any], reduce: str | None = None) -> ValueAndGrad:
    """A function that answers the loss and its derivative by the first argument.

    The derivative is that of the sum of the losses, ∂ Σᵢ lossᵢ / ∂ predictions. Where each loss has predictions of
    its own, as in a batch, it holds the derivative of each loss by its own. With ``reduce="mean"`` it is that of the
    mean.

    On every library it is computed by its formula for `squared_error`, `l2_loss`, `huber_loss`,
    `softmax_cross_entropy`, `softmax_cross_entropy_with_integer_labels`, `sigmoid_binary_cross_entropy`,
    `hinge_loss`, `cosine_similarity` and `cosine_distance`; for any other loss by the library's own differentiation,
    if it has one.

    Args:
      loss: a function of predictions and whatever else, such as those here, also within ``functools.partial``.
      reduce: "mean" or "sum" over all losses, or None to answer each.

    Returns:
      A function that takes what the loss takes, and answers ``value, gradient``: what the loss answers, reduced if
      that is wanted, and an array of the shape and dtype of the first argument.

    Raises:
      TypeError: the loss is no function; or, from the function returned, the library differentiates nothing and the
        derivative of the loss is not written down here.
      ValueError: there is no such ``reduce``.

    Example:
      >>> import arrayopt, numpy as np
      >>> f = arrayopt.losses.value_and_grad(arrayopt.huber_loss, reduce="mean")
      >>> value, gradient = f(np.asarray([0.5, 3.0]), np.asarray([0.0, 0.0]), delta=1.0)
      >>> value.item(), gradient
      (1.3125, array([0.25, 0.5 ]))
    """
    if not callable(loss):
        raise TypeError(f"value_and_grad: loss must be a function; got {described(loss)}.")
    if reduce not in (None, "mean", "sum"):
        raise ValueError(f"value_and_grad: reduce must be 'mean', 'sum' or None; got {reduce!r}.")

    def answers(predictions: Any, /, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """The loss, and its derivative by the first argument."""
        return _reduced(*_both(loss, predictions, *args, **kwargs), reduce)

    return answers


def _both(loss: Callable[..., Any], predictions: Any, /, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """Each loss, and the derivative of their sum."""
    bound = cast(Any, loss)
    if isinstance(bound, partial) and not bound.args:
        return _both(bound.func, predictions, *args, **{**bound.keywords, **kwargs})
    if loss not in SLOPES:
        return _by_library(partial(_called, loss, args, kwargs), loss, predictions, *args, *kwargs.values())
    value = loss(predictions, *args, **kwargs)
    given, slope = SLOPES[loss](predictions, *args, **kwargs)
    return value, given.like(0).rounded(_fitted(given.xp, slope, tuple(given.values[0].shape)))


def _called(loss: Callable[..., Any], args: Any, kwargs: Any, predictions: Any) -> Any:
    return loss(predictions, *args, **kwargs)


def _by_library(f: Callable[[Any], Any], loss: Any, predictions: Any, *others: Any) -> tuple[Any, Any]:
    arrays = [x for x in (predictions, *others) if is_array(x)]
    found = [backend(x) for x in arrays] or [operands("value_and_grad", {"predictions": predictions}).backend]
    of = next((b for b in found if b.name == "jax"), found[0])
    try:
        return of.value_and_grad(f, predictions)
    except NotImplementedError as error:
        known = ", ".join([each.__name__ for each in SLOPES])
        name = getattr(loss, "__name__", described(loss))
        raise TypeError(f"value_and_grad: {error}, and loss must be one of {known}; got {name}.") from None


def _fitted(xp: Any, x: Array, shape: tuple[int, ...]) -> Array:
    """The sum over those axes along which an argument of this shape was broadcast."""
    extra = x.ndim - len(shape)
    x = xp.sum(x, axis=tuple(range(extra)), dtype=x.dtype) if extra else x
    axes = tuple([k for k, size in enumerate(shape) if size == 1 and x.shape[k] != 1])
    return xp.sum(x, axis=axes, keepdims=True, dtype=x.dtype) if axes else x


def _reduced(value: Any, slope: Any, reduce: str | None) -> tuple[Any, Any]:
    if reduce is None:
        return value, slope
    given = operands("value_and_grad", {"losses": value, "slope": slope})
    count = max(math.prod(value.shape), 1) if reduce == "mean" else 1
    total = given.xp.sum(given.values[0], dtype=given.values[0].dtype)
    return given.like(0).rounded(total / count), given.like(1).rounded(given.values[1] / count)

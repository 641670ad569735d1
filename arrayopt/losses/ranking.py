"""Losses of scores by which the items of a list are put in order."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, cast

from arrayopt.dispatch import library
from arrayopt.losses.parts import log_softmax, of_bools, selected, total
from arrayopt.operands import Operands, operands
from arrayopt.types import Array


def mean(losses: Any, where: Any = None) -> Any:
    """The mean over lists, of those where the mask holds; 0 where there are none.

    Args:
      losses: one for each list.
      where: bools of that shape; None for all.
    """
    given = operands("mean", {"losses": losses}, {"where": where})
    return given.rounded(_mean(given, *given.values))


def _mean(given: Operands, losses: Array, where: Any) -> Array:
    if where is None:
        return total(given, losses, None) / max(math.prod(losses.shape), 1)
    count = total(given, given.widened(where), None)
    return total(given, losses, None, where) / given.xp.maximum(count, given.xp.ones_like(count))


def ranking_softmax_loss(
    logits: Any,
    labels: Any,
    *,
    where: Any = None,
    weights: Any = None,
    reduce_fn: Callable[..., Any] | None = mean,
) -> Any:
    """The cross entropy −Σ y log softmax(s) of the scores s of a list, reduced over lists.

    Args:
      logits: scores s, shape (…, items); floating point.
      labels: y, the relevance of each item, of the same shape.
      where: bools, the items of each list that take part; None for all.
      weights: factors of the labels, of a shape that broadcasts with them; None for none.
      reduce_fn: the library's own mean or sum, such as ``torch.sum``; another function of the losses, called with
        ``where=`` the lists that have an item, if ``where`` is given; None for the loss of each list, 0 for those
        without items.

    Returns:
      A 0-d array, or what ``reduce_fn`` makes of an array of shape (…).

    Raises:
      TypeError: the logits are not floating point, or ``where`` is not of bools.

    Example:
      >>> import arrayopt, numpy as np
      >>> scores, labels = np.asarray([2.0, 1.0, 3.0]), np.asarray([1.0, 0.0, 0.0])
      >>> arrayopt.losses.ranking_softmax_loss(scores, labels).round(3)
      np.float64(1.408)

    Source:
      Z. Cao and others, 2007: Learning to Rank: From Pairwise Approach to Listwise Approach, ICML.
    """
    who = "ranking_softmax_loss"
    given = operands(who, {"logits": logits}, {"labels": labels, "where": where}, {"weights": weights}).like(0, 3)
    x, y, mask, weight = given.values
    y = selected(given.xp, of_bools(who, mask), given.widened(y))
    y = y if weight is None else y * weight
    loss = -total(given, y * log_softmax(given, x, -1, mask), -1, mask)
    lists = None if mask is None else given.xp.any(given.xp.broadcast_to(mask, x.shape), axis=-1)
    return _reduced(given, loss, lists, reduce_fn)


def _reduced(given: Operands, loss: Array, lists: Any, reduce: Callable[..., Any] | None) -> Array:
    """The losses of all lists that have an item, made one."""
    if reduce is None:
        return given.rounded(selected(given.xp, lists, loss))
    if reduce is mean or _is_word(given, loss, "mean", reduce):
        return given.rounded(_mean(given, loss, lists))
    if _is_word(given, loss, "sum", reduce):
        return given.rounded(total(given, loss, None, lists))
    loss = given.rounded(loss)
    return cast(Array, reduce(loss) if lists is None else reduce(loss, where=lists))


def _is_word(given: Operands, x: Array, word: str, function: Any) -> bool:
    """Whether a function is the library's own of that name: those of some take no mask."""
    homes = (given.xp, sys.modules.get(library(x)))
    return any([function is getattr(home, word, None) for home in homes])

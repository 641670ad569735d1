"""How far one distribution is from another: divergences of Kullback and Leibler."""

from __future__ import annotations

import math
import warnings
from typing import Any, cast

from arrayopt.dispatch import is_compiling
from arrayopt.losses.parts import Axis, of_bools, places, selected, total
from arrayopt.operands import Operands, operands
from arrayopt.types import Array


def kl_divergence(log_predictions: Any, targets: Any, axis: Axis = -1, where: Any = None) -> Any:
    """The divergence Σ p (log p − log q) of predictions q from targets p, where 0 log 0 = 0.

    Args:
      log_predictions: log q along ``axis``; floating point.
      targets: p, of a shape that broadcasts with it; floating point.
      axis: one axis or several to sum over; None for all.
      where: bools that broadcast with both: entries to be taken; None for all.

    Returns:
      An array of the shape of the predictions, without ``axis``.

    Raises:
      TypeError: predictions or targets are not floating point, or ``where`` is not of bools.
      ValueError: there is no such axis.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.kl_divergence(np.log([[0.5, 0.5]]), np.asarray([[1.0, 0.0]])).round(4)
      array([0.6931])

    Source:
      S. Kullback, R. A. Leibler, 1951: On Information and Sufficiency, Annals of Mathematical Statistics 22.
    """
    given, log_q, p, mask = _distributions("kl_divergence", log_predictions, targets, axis, where)
    return given.rounded(_divergence(given, log_q, p, axis, mask))


def generalized_kl_divergence(log_predictions: Any, targets: Any, axis: Axis = -1, where: Any = None) -> Any:
    """The same for what need not sum to 1: Σ p (log p − log q) + Σ (q − p).

    Args:
      log_predictions: log q along ``axis``; floating point.
      targets: p, of a shape that broadcasts with it; floating point.
      axis: one axis or several to sum over; None for all.
      where: bools that broadcast with both: entries to be taken; None for all.

    Returns:
      An array of the shape of the predictions, without ``axis``.

    Raises:
      TypeError: predictions or targets are not floating point, or ``where`` is not of bools.
      ValueError: there is no such axis.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.generalized_kl_divergence(np.log([[2.0, 2.0]]), np.asarray([[1.0, 1.0]])).round(4)
      array([0.6137])

    Source:
      S. Boyd, L. Vandenberghe, 2004: Convex Optimization, section 3.1.5, example 3.13.
    """
    given, log_q, p, mask = _distributions("generalized_kl_divergence", log_predictions, targets, axis, where)
    surplus = total(given, given.xp.exp(selected(given.xp, mask, log_q)) - selected(given.xp, mask, p), axis, mask)
    return given.rounded(_divergence(given, log_q, p, axis, mask) + surplus)


def convex_kl_divergence(log_predictions: Any, targets: Any, axis: Axis = -1, where: Any = None) -> Any:
    """The former name of `generalized_kl_divergence`, with a DeprecationWarning.

    Args:
      log_predictions: as there.
      targets: as there.
      axis: as there.
      where: as there.

    Returns:
      What that function returns.
    """
    if not is_compiling([log_predictions, targets]):
        message = "convex_kl_divergence is deprecated: please use generalized_kl_divergence."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    return generalized_kl_divergence(log_predictions, targets, axis=axis, where=where)


def kl_divergence_with_log_targets(log_predictions: Any, log_targets: Any, axis: Axis = -1, where: Any = None) -> Any:
    """The divergence Σ p (log p − log q) of predictions q from targets p of which the logarithms are given.

    Args:
      log_predictions: log q along ``axis``; floating point.
      log_targets: log p, of a shape that broadcasts with it, −∞ for a chance of 0; floating point.
      axis: one axis or several to sum over; None for all.
      where: bools that broadcast with both: entries to be taken; None for all.

    Returns:
      An array of the shape of the predictions, without ``axis``.

    Raises:
      TypeError: predictions or targets are not floating point, or ``where`` is not of bools.
      ValueError: there is no such axis.

    Example:
      >>> import arrayopt, numpy as np
      >>> log_targets = np.asarray([[0.0, -np.inf]])
      >>> arrayopt.losses.kl_divergence_with_log_targets(np.log([[0.5, 0.5]]), log_targets).round(4)
      array([0.6931])

    Source:
      S. Kullback, R. A. Leibler, 1951: On Information and Sufficiency, Annals of Mathematical Statistics 22.
    """
    who = "kl_divergence_with_log_targets"
    given, log_q, log_p, mask = _distributions(who, log_predictions, log_targets, axis, where)
    xp = given.xp
    log_p = cast(Any, selected(xp, mask, log_p, -math.inf))
    is_some = log_p != -math.inf
    log_p = selected(xp, is_some, log_p)
    return given.rounded(total(given, xp.exp(log_p) * (log_p - selected(xp, mask, log_q)), axis, is_some))


def _distributions(who: str, log_q: Any, p: Any, axis: Axis, where: Any) -> tuple[Operands, Array, Any, Any]:
    second = "log_targets" if "log_targets" in who else "targets"
    given = operands(who, {"log_predictions": log_q, second: p}, {"where": where})
    log_q, p, where = given.values
    places(who, axis, log_q.ndim)
    return given, log_q, p, of_bools(who, where)


def _divergence(given: Operands, log_q: Array, p: Any, axis: Axis, mask: Any) -> Array:
    xp, p = given.xp, selected(given.xp, mask, p)
    is_some = p != 0
    p = selected(xp, is_some, p, 1.0)
    return total(given, p * (xp.log(p) - selected(xp, mask, log_q)), axis, is_some)

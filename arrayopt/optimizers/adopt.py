"""ADOPT: Adam that converges for every β₂, since each gradient is measured by those before it.

    first step:  v ← g²,  u = 0
    then         r = clip(g / max(√v, ε), ±c(k))
                 m ← β₁ m + (1 − β₁) r
                 v ← β₂ v + (1 − β₂) g²
                 u = −η m

Nesterov: u = −η (β₁ m + (1 − β₁) r).   k counts steps from 0; c(k) = k^¼.

Taniguchi, Harada, Minegishi, Oshima, Jeong, Nagahara, Iiyama, Suzuki, Iwasawa, Matsuo, 2024: ADOPT: Modified Adam
Can Converge with Any β₂ with the Optimal Rate (arXiv 2411.02853), Algorithm 2; with clipping, Algorithm 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arrayopt import checks
from arrayopt.base import GradientTransformation, GradientTransformationExtraArgs, remembering
from arrayopt.calls import by_call
from arrayopt.lift import counter, lift, slots_like
from arrayopt.numerics import abs2, at, at_least, ema, held, limit, real, safe_increment, sqrt, where
from arrayopt.optimizers.adam import ScaleByAdamState
from arrayopt.transforms.combining import chain
from arrayopt.transforms.scaling import scale_by_learning_rate
from arrayopt.types import Array, DType, Params, Scalar, ScalarOrSchedule, Updates


def _adopt(
    g: Array,
    mu: Array,
    nu: Array,
    k: Array,
    *,
    b1: Scalar,
    b2: Scalar,
    eps: Scalar,
    bound: Scalar | None,
    nesterov: bool,
) -> tuple[Array, Array, Array]:
    g, first = held(g), k < 1
    r = g / at_least(sqrt(nu), eps)
    if bound is not None:
        r = limit(r, bound)
    mu = where(first, mu, ema(mu, r, b1))
    nu = where(first, abs2(g), ema(nu, abs2(g), b2))
    if nesterov:
        return where(first, mu, ema(mu, r, b1)), mu, nu
    return mu, mu, nu


@by_call
def scale_by_adopt(
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.9999,
    eps: ScalarOrSchedule = 1e-6,
    mu_dtype: DType | None = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Callable[[Any], Any] = lambda x: x**0.25,
) -> GradientTransformation:
    """The mean of gradients each divided by the root of the mean square of those before it.

    The direction of `adopt` before learning rate and sign. The first update is zero.

    Args:
      b1: β₁, decay of the mean, in [0, 1).
      b2: β₂, decay of the mean square, in [0, 1).
      eps: ε > 0, the least the root may be, in units of the gradient.
      mu_dtype: dtype of ``mu``, or its name; by default the parameter's, but at least float32.
      nesterov: whether to look one step ahead.
      use_clipping: whether to clip the normalised gradient.
      clip_value_fn: from the step k = 0, 1, … (a real number or real 0-d array) to the bound of the clipping.
        A complex gradient is clipped in magnitude.

    Returns:
      A transform with `ScaleByAdamState`. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.contrib.scale_by_adopt()
      >>> state = tx.init(np.zeros(2))
      >>> for _ in range(2):
      ...     u, state = tx.update(np.asarray([0.1, -20.0]), state)
      >>> u.round(6)
      array([ 0.1, -0.1])

    Source:
      Taniguchi et al., 2024 (arXiv 2411.02853), Algorithms 2 and 3.
    """
    who, look_ahead = checks.speaker(), checks.flag("nesterov", nesterov)
    clipping = checks.flag("use_clipping", use_clipping)
    b1, b2, eps = checks.decay("b1", b1), checks.decay("b2", b2), checks.positive("eps", eps)
    kind, bound_at = checks.slot_dtype("mu_dtype", mu_dtype), checks.function("clip_value_fn", clip_value_fn)

    def init(params: Params) -> ScaleByAdamState:
        mu = slots_like(who, params, kind)
        nu = slots_like(who, params, real=True)
        return ScaleByAdamState(counter(params), mu, nu)

    def update(updates: Updates, state: ScaleByAdamState, params: Params = None) -> tuple[Updates, ScaleByAdamState]:
        del params
        k = state.count
        bound = bound_at(real(k)) if clipping else None
        words: dict[str, Any] = {"bound": bound, "nesterov": look_ahead, **at(k, b1=b1, b2=b2, eps=eps)}
        u, mu, nu = lift(who, _adopt, updates, state.mu, state.nu, k=k, **words)
        return u, ScaleByAdamState(safe_increment(k), mu, nu)

    return remembering(who, ScaleByAdamState, init, update)


@by_call
def adopt(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.9999,
    eps: ScalarOrSchedule = 1e-6,
    mu_dtype: DType | None = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Callable[[Any], Any] = lambda x: x**0.25,
) -> GradientTransformationExtraArgs:
    """ADOPT: Adam changed so that it converges for every β₂.

    The gradient is divided by the root of v before it enters the mean, and v does not know that gradient yet.
    The first step only measures: its update is zero.

    Args:
      learning_rate: η, in units of the parameter; a number, a 0-d array or a schedule of the step 0, 1, …
      b1: β₁, decay of the mean, in [0, 1).
      b2: β₂, decay of the mean square, in [0, 1).
      eps: ε > 0, the least the root may be, in units of the gradient.
      mu_dtype: dtype of ``mu``, or its name; by default the parameter's, but at least float32.
      nesterov: whether to look one step ahead.
      use_clipping: whether to clip the normalised gradient.
      clip_value_fn: from the step k = 0, 1, … (a real number or real 0-d array) to the bound of the clipping.

    Returns:
      A transform whose state is ``(ScaleByAdamState, …)``. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.contrib.adopt(learning_rate=0.003)
      >>> x = np.asarray([1.0, 2.0, 3.0])
      >>> state = tx.init(x)
      >>> for _ in range(5):
      ...     u, state = tx.update(2 * x, state, x)
      ...     x = arrayopt.apply_updates(x, u)
      ...     print(f"{(x**2).sum():.2E}", end=" ")
      1.40E+01 1.40E+01 1.40E+01 1.40E+01 1.40E+01

    Source:
      Taniguchi et al., 2024: ADOPT: Modified Adam Can Converge with Any β₂ with the Optimal Rate
      (arXiv 2411.02853), Algorithms 2 and 3.
    """
    return chain(
        scale_by_adopt(
            b1, b2, eps, mu_dtype, nesterov=nesterov, use_clipping=use_clipping, clip_value_fn=clip_value_fn
        ),
        scale_by_learning_rate(checks.number("learning_rate", learning_rate)),
    )

"""Adamax: Adam with the greatest gradient of late in the place of the root mean square.

    m ← β₁ m + (1 − β₁) g                  v ← max(β₂ v, |g| + ε)
    m̂ = m / (1 − β₁ᵗ)
    u = −η (m̂ / v + λ p)

Kingma, Ba, 2015: Adam: A Method for Stochastic Optimization (arXiv 1412.6980), Algorithm 2; ε, which keeps the
quotient finite, is Optax's, and λ is AdamW's.
"""

from __future__ import annotations

from arrayopt import checks
from arrayopt.base import GradientTransformation, GradientTransformationExtraArgs, remembering
from arrayopt.calls import by_call
from arrayopt.lift import counter, lift, slots_like
from arrayopt.numerics import at, at_least, magnitude, safe_increment, unbias, wide_ema
from arrayopt.optimizers.adam import ScaleByAdamState
from arrayopt.transforms.combining import chain
from arrayopt.transforms.decay import add_decayed_weights
from arrayopt.transforms.scaling import scale_by_learning_rate
from arrayopt.types import Array, MaskOrFn, Params, Scalar, ScalarOrSchedule, Updates


def _adamax(
    g: Array, mu: Array, nu: Array, t: Array, *, b1: Scalar, b2: Scalar, eps: Scalar
) -> tuple[Array, Array, Array]:
    mu = wide_ema(mu, g, b1)
    nu = at_least(magnitude(g) + eps, b2 * nu)
    return unbias(mu / nu, b1, t), mu, nu  # the quotient first: it is in range, whatever the gradients


@by_call
def scale_by_adamax(
    b1: ScalarOrSchedule = 0.9, b2: ScalarOrSchedule = 0.999, eps: ScalarOrSchedule = 1e-8
) -> GradientTransformation:
    """Divides the mean of the gradient by the greatest gradient of late.

    m̂ / v, the direction of `adamax` before learning rate and sign.

    Args:
      b1: β₁, decay of the mean, in [0, 1).
      b2: β₂, decay of the greatest gradient, in [0, 1).
      eps: ε ≥ 0, added to the size of each gradient, in units of it.

    Returns:
      A transform with `ScaleByAdamState`, whose ``nu`` is v, real. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.scale_by_adamax()
      >>> u, state = tx.update(np.asarray([0.1, -20.0]), tx.init(np.zeros(2)))
      >>> u.round(6)
      array([ 1., -1.])

    Source:
      Kingma, Ba, 2015 (arXiv 1412.6980), Algorithm 2.
    """
    who = checks.speaker()
    b1, b2, eps = checks.decay("b1", b1), checks.decay("b2", b2), checks.nonnegative("eps", eps)

    def init(params: Params) -> ScaleByAdamState:
        return ScaleByAdamState(counter(params), slots_like(who, params), slots_like(who, params, real=True))

    def update(updates: Updates, state: ScaleByAdamState, params: Params = None) -> tuple[Updates, ScaleByAdamState]:
        del params
        t, hyper = safe_increment(state.count), at(state.count, b1=b1, b2=b2, eps=eps)
        u, mu, nu = lift(who, _adamax, updates, state.mu, state.nu, t=t, **hyper)
        return u, ScaleByAdamState(t, mu, nu)

    return remembering(who, ScaleByAdamState, init, update)


@by_call
def adamax(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
) -> GradientTransformationExtraArgs:
    """Adamax: as Adam, but measured by the greatest gradient of late instead of the root mean square.

    u = −η m̂ / v, with v ← max(β₂ v, |g| + ε): no step is longer than η / (1 − β₁), usually than η.

    Args:
      learning_rate: η, in units of the parameter; a number, a 0-d array or a schedule of the step 0, 1, …
      b1: β₁, decay of the mean, in [0, 1).
      b2: β₂, decay of the greatest gradient, in [0, 1).
      eps: ε ≥ 0, added to the size of each gradient, in units of it.

    Returns:
      A transform. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.adamax(learning_rate=0.003)
      >>> x = np.asarray([1.0, 2.0, 3.0])
      >>> state = tx.init(x)
      >>> for _ in range(5):
      ...     u, state = tx.update(2 * x, state, x)
      ...     x = arrayopt.apply_updates(x, u)
      ...     print(f"{(x**2).sum():.2E}", end=" ")
      1.40E+01 1.39E+01 1.39E+01 1.39E+01 1.38E+01

    Source:
      Kingma, Ba, 2015: Adam: A Method for Stochastic Optimization (arXiv 1412.6980), Algorithm 2.
    """
    return chain(
        scale_by_adamax(b1, b2, eps),
        scale_by_learning_rate(checks.number("learning_rate", learning_rate)),
    )


@by_call
def adamaxw(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """Adamax with decoupled weight decay.

    u = −η (m̂ / v + λ p): the decay is scaled by the learning rate, not by the gradient's size.

    Args:
      learning_rate: η, in units of the parameter; a number, a 0-d array or a schedule of the step 0, 1, …
      b1: β₁, decay of the mean, in [0, 1).
      b2: β₂, decay of the greatest gradient, in [0, 1).
      eps: ε ≥ 0, added to the size of each gradient, in units of it.
      weight_decay: λ ≥ 0.
      mask: which parameters decay: a tree of bools, a prefix of one, or a function that makes one from the
        parameters. None: all.

    Returns:
      A transform; ``update`` needs the parameters. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range. From ``update``: the parameters are missing.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.adamaxw(0.1, weight_decay=0.5)
      >>> p = np.asarray([1.0, 2.0])
      >>> tx.update(np.ones(2), tx.init(p), p)[0].round(6)
      array([-0.15, -0.2 ])

    Source:
      Kingma, Ba, 2015 (arXiv 1412.6980), Algorithm 2; Loshchilov, Hutter, 2019 (arXiv 1711.05101).
    """
    return chain(
        scale_by_adamax(b1, b2, eps),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(checks.number("learning_rate", learning_rate)),
    )

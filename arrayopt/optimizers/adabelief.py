"""AdaBelief: long steps where the gradient is as it was believed to be.

    m ← β₁ m + (1 − β₁) g                  s ← β₂ s + (1 − β₂) (g − m)² + ε̄
    m̂ = m / (1 − β₁ᵗ)                      ŝ = s / (1 − β₂ᵗ)
    u = −η (m̂ / (√ŝ + ε) + λ p)

Zhuang, Tang, Ding, Tatikonda, Dvornek, Papademetris, Duncan, 2020: AdaBelief Optimizer: Adapting Stepsizes by
the Belief in Observed Gradients (arXiv 2010.07468), Algorithm 2.
"""

from __future__ import annotations

from typing import NamedTuple

from arrayopt import checks
from arrayopt.base import GradientTransformation, GradientTransformationExtraArgs, remembering
from arrayopt.calls import by_call
from arrayopt.lift import counter, lift, slots_like
from arrayopt.numerics import abs2, at, ema, held, safe_increment, sqrt, unbias
from arrayopt.transforms.combining import chain
from arrayopt.transforms.decay import add_decayed_weights
from arrayopt.transforms.scaling import scale_by_learning_rate
from arrayopt.types import Array, Counter, MaskOrFn, Params, Scalar, ScalarOrSchedule, Tree, Updates


class ScaleByBeliefState(NamedTuple):
    """State of `scale_by_belief`."""

    count: Counter  # steps taken; shape (), int32
    mu: Tree  # mean of the gradient; like the parameters, at least float32
    nu: Tree  # mean square of its distance from that mean; like the parameters, at least float32, real


def _belief(
    g: Array,
    mu: Array,
    nu: Array,
    t: Array,
    *,
    b1: Scalar,
    b2: Scalar,
    eps: Scalar,
    eps_root: Scalar,
    nesterov: bool,
) -> tuple[Array, Array, Array]:
    g = held(g)
    mu = ema(mu, g, b1)
    nu = ema(nu, abs2(g - mu), b2) + eps_root
    mu_hat = unbias(mu, b1, t)
    if nesterov:
        mu_hat = b1 * unbias(mu, b1, t + 1) + (1 - b1) * unbias(g, b1, t)
    nu_hat = unbias(nu, b2, t)
    return mu_hat / (sqrt(nu_hat) + eps), mu, nu


@by_call
def scale_by_belief(
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-16,
    eps_root: ScalarOrSchedule = 1e-16,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Divides the mean of the gradient by how far the gradient strays from it.

    m̂ / (√ŝ + ε), the direction of `adabelief` before decay, learning rate and sign. ε̄ is part of the stored s.

    Args:
      b1: β₁, decay of the mean, in [0, 1).
      b2: β₂, decay of the mean squared distance, in [0, 1).
      eps: ε ≥ 0, added outside the root, in units of the gradient.
      eps_root: ε̄ ≥ 0, added to s at every step, in units of the gradient squared.
      nesterov: whether to look ahead as Dozat does.

    Returns:
      A transform with `ScaleByBeliefState`. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.scale_by_belief()
      >>> u, state = tx.update(np.asarray([0.1, -20.0]), tx.init(np.zeros(2)))
      >>> u.round(4)  # 1 / b1
      array([ 1.1111, -1.1111])

    Source:
      Zhuang et al., 2020 (arXiv 2010.07468), Algorithm 2.
    """
    who, look_ahead = checks.speaker(), checks.flag("nesterov", nesterov)
    b1, b2 = checks.decay("b1", b1), checks.decay("b2", b2)
    eps, eps_root = checks.nonnegative("eps", eps), checks.nonnegative("eps_root", eps_root)

    def init(params: Params) -> ScaleByBeliefState:
        mu = slots_like(who, params)
        nu = slots_like(who, params, real=True)
        return ScaleByBeliefState(counter(params), mu, nu)

    def update(
        updates: Updates, state: ScaleByBeliefState, params: Params = None
    ) -> tuple[Updates, ScaleByBeliefState]:
        del params
        t = safe_increment(state.count)
        hyper = at(state.count, b1=b1, b2=b2, eps=eps, eps_root=eps_root)
        u, mu, nu = lift(who, _belief, updates, state.mu, state.nu, t=t, nesterov=look_ahead, **hyper)
        return u, ScaleByBeliefState(t, mu, nu)

    return remembering(who, ScaleByBeliefState, init, update)


@by_call
def adabelief(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-16,
    eps_root: ScalarOrSchedule = 1e-16,
    weight_decay: ScalarOrSchedule | None = None,
    weight_decay_mask: MaskOrFn = None,
    *,
    nesterov: bool = False,
) -> GradientTransformationExtraArgs:
    """AdaBelief: as Adam, but measured by the gradient's distance from its mean instead of its size.

    u = −η (m̂ / (√ŝ + ε) + λ p), with s the mean of (g − m)², m the new mean.

    Args:
      learning_rate: η, in units of the parameter; a number, a 0-d array or a schedule of the step 0, 1, …
      b1: β₁, decay of the mean, in [0, 1).
      b2: β₂, decay of the mean squared distance, in [0, 1).
      eps: ε ≥ 0, added outside the root, in units of the gradient.
      eps_root: ε̄ ≥ 0, added to s at every step, in units of the gradient squared.
      weight_decay: λ ≥ 0, scaled by the learning rate; None for none.
      weight_decay_mask: which parameters decay: a tree of bools, a prefix of one, or a function that makes one
        from the parameters. None: all.
      nesterov: whether to look ahead as Dozat does.

    Returns:
      A transform; ``update`` needs the parameters if there is weight decay. Updates have shape and dtype of
      the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range. From ``update``: the parameters are missing.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.adabelief(learning_rate=0.003)
      >>> x = np.asarray([1.0, 2.0, 3.0])
      >>> state = tx.init(x)
      >>> for _ in range(5):
      ...     u, state = tx.update(2 * x, state, x)
      ...     x = arrayopt.apply_updates(x, u)
      ...     print(f"{(x**2).sum():.2E}", end=" ")
      1.40E+01 1.39E+01 1.39E+01 1.38E+01 1.38E+01

    Source:
      Zhuang et al., 2020: AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients
      (arXiv 2010.07468), Algorithm 2. Defaults of eps and eps_root are Optax's.
    """
    links = [scale_by_belief(b1, b2, eps, eps_root, nesterov=nesterov)]
    if weight_decay is not None:
        links.append(add_decayed_weights(weight_decay, weight_decay_mask))
    return chain(*links, scale_by_learning_rate(checks.number("learning_rate", learning_rate)))

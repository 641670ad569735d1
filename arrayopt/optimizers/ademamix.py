"""AdEMAMix: Adam with a second, much slower mean of the gradient.

    m₁ ← β₁ m₁ + (1 − β₁) g                m₂ ← β₃ m₂ + (1 − β₃) g
    v ← β₂ v + (1 − β₂) g²
    m̂₁ = m₁ / (1 − β₁ᵗ)                    v̂ = v / (1 − β₂ᵗ)
    u = −η ((m̂₁ + α m₂) / (√(v̂ + ε̄) + ε) + λ p)

m₂ is not bias-corrected; the paper warms up α and β₃ instead.

Pagliardini, Ablin, Grangier, 2024: The AdEMAMix Optimizer: Better, Faster, Older (arXiv 2409.03137), Algorithm 1.
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
from arrayopt.types import Array, Counter, DType, MaskOrFn, Params, Scalar, ScalarOrSchedule, Tree, Updates


class ScaleByAdemamixState(NamedTuple):
    """State of `scale_by_ademamix`."""

    count: Counter  # steps taken; shape (), int32
    count_m2: Counter  # the same, for the schedules of b3 and alpha; shape (), int32
    m1: Tree  # fast mean of the gradient; like the parameters, at least float32 or mu_dtype
    m2: Tree  # slow mean of the gradient; as m1
    nu: Tree  # mean of its square; like the parameters, at least float32, real


def _ademamix(
    g: Array,
    m1: Array,
    m2: Array,
    nu: Array,
    t: Array,
    *,
    b1: Scalar,
    b2: Scalar,
    b3: Scalar,
    alpha: Scalar,
    eps: Scalar,
    eps_root: Scalar,
) -> tuple[Array, Array, Array, Array]:
    g = held(g)
    m1 = ema(m1, g, b1)
    m2 = ema(m2, g, b3)
    nu = ema(nu, abs2(g), b2)
    m1_hat = unbias(m1, b1, t)
    nu_hat = unbias(nu, b2, t)
    return (m1_hat + alpha * m2) / (sqrt(nu_hat + eps_root) + eps), m1, m2, nu


@by_call
def scale_by_ademamix(
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    b3: ScalarOrSchedule = 0.9999,
    alpha: ScalarOrSchedule = 6.0,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: DType | None = None,
) -> GradientTransformation:
    """A mix of a fast and a slow mean of the gradient, over the root of the mean of its square.

    (m̂₁ + α m₂) / (√(v̂ + ε̄) + ε), the direction of `ademamix` before decay, learning rate and sign.

    Args:
      b1: β₁, decay of the fast mean, in [0, 1).
      b2: β₂, decay of the mean square, in [0, 1).
      b3: β₃, decay of the slow mean, in [0, 1); a schedule is given the step 0, 1, …
      alpha: α ≥ 0, weight of the slow mean; may be a schedule. Note that `ademamix` has another default.
      eps: ε ≥ 0, added outside the root, in units of the gradient.
      eps_root: ε̄ ≥ 0, added inside the root, in units of the gradient squared.
      mu_dtype: dtype of ``m1`` and ``m2``, or its name; by default the parameter's, but at least float32.

    Returns:
      A transform with `ScaleByAdemamixState`. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.contrib.scale_by_ademamix(b3=0.99, alpha=5.0)
      >>> u, state = tx.update(np.asarray([0.1, -20.0]), tx.init(np.zeros(2)))
      >>> u.round(6)
      array([ 1.05, -1.05])

    Source:
      Pagliardini, Ablin, Grangier, 2024 (arXiv 2409.03137), Algorithm 1.
    """
    who, alpha = checks.speaker(), checks.nonnegative("alpha", alpha)
    b1, b2, b3 = checks.decay("b1", b1), checks.decay("b2", b2), checks.decay("b3", b3)
    eps, eps_root = checks.nonnegative("eps", eps), checks.nonnegative("eps_root", eps_root)
    kind = checks.slot_dtype("mu_dtype", mu_dtype)

    def init(params: Params) -> ScaleByAdemamixState:
        m1, m2 = slots_like(who, params, kind), slots_like(who, params, kind)
        nu = slots_like(who, params, real=True)
        return ScaleByAdemamixState(counter(params), counter(params), m1, m2, nu)

    def update(
        updates: Updates, state: ScaleByAdemamixState, params: Params = None
    ) -> tuple[Updates, ScaleByAdemamixState]:
        del params
        t = safe_increment(state.count)
        hyper = at(state.count, b1=b1, b2=b2, eps=eps, eps_root=eps_root)
        slow = at(state.count_m2, b3=b3, alpha=alpha)
        u, m1, m2, nu = lift(who, _ademamix, updates, state.m1, state.m2, state.nu, t=t, **hyper, **slow)
        return u, ScaleByAdemamixState(t, safe_increment(state.count_m2), m1, m2, nu)

    return remembering(who, ScaleByAdemamixState, init, update)


@by_call
def ademamix(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    b3: ScalarOrSchedule = 0.9999,
    alpha: ScalarOrSchedule = 5.0,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: DType | None = None,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """AdEMAMix: Adam that also remembers gradients of ten thousand steps ago.

    u = −η ((m̂₁ + α m₂) / (√(v̂ + ε̄) + ε) + λ p), m₁ and m₂ a fast and a slow mean of the gradient.

    Args:
      learning_rate: η, in units of the parameter; a number, a 0-d array or a schedule of the step 0, 1, …
      b1: β₁, decay of the fast mean, in [0, 1).
      b2: β₂, decay of the mean square, in [0, 1).
      b3: β₃, decay of the slow mean, in [0, 1); a schedule is given the step 0, 1, …
      alpha: α ≥ 0, weight of the slow mean; may be a schedule.
      eps: ε ≥ 0, added outside the root, in units of the gradient.
      eps_root: ε̄ ≥ 0, added inside the root, in units of the gradient squared.
      mu_dtype: dtype of ``m1`` and ``m2``, or its name; by default the parameter's, but at least float32.
      weight_decay: λ ≥ 0, scaled by the learning rate.
      mask: which parameters decay: a tree of bools, a prefix of one, or a function that makes one from the
        parameters. None: all.

    Returns:
      A transform; ``update`` needs the parameters unless λ is 0. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range. From ``update``: the parameters are missing.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.contrib.ademamix(learning_rate=0.01)
      >>> x = np.asarray([1.0, 2.0, 3.0])
      >>> state = tx.init(x)
      >>> for _ in range(5):
      ...     u, state = tx.update(2 * x, state, x)
      ...     x = arrayopt.apply_updates(x, u)
      ...     print(f"{(x**2).sum():.2E}", end=" ")
      1.39E+01 1.38E+01 1.36E+01 1.35E+01 1.34E+01

    Source:
      Pagliardini, Ablin, Grangier, 2024: The AdEMAMix Optimizer: Better, Faster, Older (arXiv 2409.03137),
      Algorithm 1.
    """
    return chain(
        scale_by_ademamix(b1, b2, b3, alpha, eps, eps_root, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(checks.number("learning_rate", learning_rate)),
    )

"""Adam and AdamW.

    m ← β₁ m + (1 − β₁) g                  v ← β₂ v + (1 − β₂) g²
    m̂ = m / (1 − β₁ᵗ)                      v̂ = v / (1 − β₂ᵗ)
    u = −η m̂ / (√(v̂ + ε̄) + ε)

Nesterov: m̂ = β₁ m / (1 − β₁ᵗ⁺¹) + (1 − β₁) g / (1 − β₁ᵗ).   AdamW: u = −η (m̂ / (√(v̂ + ε̄) + ε) + λ p).

Kingma, Ba, 2015: Adam: A Method for Stochastic Optimization (arXiv 1412.6980), Algorithm 1.
Dozat, 2016: Incorporating Nesterov Momentum into Adam, Algorithm 2 (without its factor on v).
Loshchilov, Hutter, 2019: Decoupled Weight Decay Regularization (arXiv 1711.05101), Algorithm 2.
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


class ScaleByAdamState(NamedTuple):
    """State of `scale_by_adam` and `scale_by_adopt`."""

    count: Counter  # steps taken; shape (), int32
    mu: Tree  # mean of the gradient; like the parameters, at least float32 or mu_dtype
    nu: Tree  # mean of its square; like the parameters, at least float32, real


def _adam(
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
    nu = ema(nu, abs2(g), b2)
    mu_hat = unbias(mu, b1, t)
    if nesterov:
        mu_hat = b1 * unbias(mu, b1, t + 1) + (1 - b1) * unbias(g, b1, t)
    nu_hat = unbias(nu, b2, t)
    return mu_hat / (sqrt(nu_hat + eps_root) + eps), mu, nu


@by_call
def scale_by_adam(
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: DType | None = None,
    *,
    nesterov: bool = False,
) -> GradientTransformation:
    """Divides the mean of the gradient by the root of the mean of its square, both bias-corrected.

    m̂ / (√(v̂ + ε̄) + ε), the direction of `adam` before learning rate and sign.

    Args:
      b1: β₁, decay of the mean, in [0, 1).
      b2: β₂, decay of the mean square, in [0, 1).
      eps: ε ≥ 0, added outside the root, in units of the gradient.
      eps_root: ε̄ ≥ 0, added inside the root, in units of the gradient squared. Needed (1e-16, say) to
        differentiate through the update where a gradient is zero.
      mu_dtype: dtype of ``mu``, or its name; by default the parameter's, but at least float32.
      nesterov: whether to look ahead as Dozat does.

    Returns:
      A transform with `ScaleByAdamState`. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.scale_by_adam()
      >>> u, state = tx.update(np.asarray([0.1, -20.0]), tx.init(np.zeros(2)))
      >>> u.round(6)
      array([ 1., -1.])

    Source:
      Kingma, Ba, 2015 (arXiv 1412.6980), Algorithm 1; Dozat, 2016, Algorithm 2.
    """
    who, look_ahead = checks.speaker(), checks.flag("nesterov", nesterov)
    b1, b2 = checks.decay("b1", b1), checks.decay("b2", b2)
    eps, eps_root = checks.nonnegative("eps", eps), checks.nonnegative("eps_root", eps_root)
    kind = checks.slot_dtype("mu_dtype", mu_dtype)

    def init(params: Params) -> ScaleByAdamState:
        mu = slots_like(who, params, kind)
        nu = slots_like(who, params, real=True)
        return ScaleByAdamState(counter(params), mu, nu)

    def update(updates: Updates, state: ScaleByAdamState, params: Params = None) -> tuple[Updates, ScaleByAdamState]:
        del params
        t = safe_increment(state.count)
        hyper = at(state.count, b1=b1, b2=b2, eps=eps, eps_root=eps_root)
        u, mu, nu = lift(who, _adam, updates, state.mu, state.nu, t=t, nesterov=look_ahead, **hyper)
        return u, ScaleByAdamState(t, mu, nu)

    return remembering(who, ScaleByAdamState, init, update)


@by_call
def adam(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: DType | None = None,
    *,
    nesterov: bool = False,
) -> GradientTransformationExtraArgs:
    """Adam: steps of about the learning rate, whatever the scale of the gradient.

    u = −η m̂ / (√(v̂ + ε̄) + ε), with m̂ and v̂ the bias-corrected means of the gradient and of its square.

    Args:
      learning_rate: η, in units of the parameter; a number, a 0-d array or a schedule of the step 0, 1, …
      b1: β₁, decay of the mean, in [0, 1).
      b2: β₂, decay of the mean square, in [0, 1).
      eps: ε ≥ 0, added outside the root, in units of the gradient.
      eps_root: ε̄ ≥ 0, added inside the root, in units of the gradient squared.
      mu_dtype: dtype of ``mu``, or its name; by default the parameter's, but at least float32.
      nesterov: whether to look ahead as Dozat does.

    Returns:
      A transform whose state is ``(ScaleByAdamState, …)``. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.adam(learning_rate=0.003)
      >>> x = np.asarray([1.0, 2.0, 3.0])
      >>> state = tx.init(x)
      >>> for _ in range(5):
      ...     u, state = tx.update(2 * x, state, x)
      ...     x = arrayopt.apply_updates(x, u)
      ...     print(f"{(x**2).sum():.2E}", end=" ")
      1.40E+01 1.39E+01 1.39E+01 1.39E+01 1.38E+01

    Source:
      Kingma, Ba, 2015: Adam: A Method for Stochastic Optimization (arXiv 1412.6980), Algorithm 1.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_learning_rate(checks.number("learning_rate", learning_rate)),
    )


@by_call
def adamw(
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: DType | None = None,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: MaskOrFn = None,
    *,
    nesterov: bool = False,
) -> GradientTransformationExtraArgs:
    """Adam with decoupled weight decay.

    u = −η (m̂ / (√(v̂ + ε̄) + ε) + λ p): the decay is scaled by the learning rate, not by the gradient's size.

    Args:
      learning_rate: η, in units of the parameter; a number, a 0-d array or a schedule of the step 0, 1, …
      b1: β₁, decay of the mean, in [0, 1).
      b2: β₂, decay of the mean square, in [0, 1).
      eps: ε ≥ 0, added outside the root, in units of the gradient.
      eps_root: ε̄ ≥ 0, added inside the root, in units of the gradient squared.
      mu_dtype: dtype of ``mu``, or its name; by default the parameter's, but at least float32.
      weight_decay: λ ≥ 0. Torch's AdamW has 1e-2 where this, as Optax, has 1e-4.
      mask: which parameters decay: a tree of bools, a prefix of one, or a function that makes one from the
        parameters. None: all.
      nesterov: whether to look ahead as Dozat does.

    Returns:
      A transform; ``update`` needs the parameters. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range. From ``update``: the parameters are missing.
      TypeError: a hyper-parameter is no number, 0-d array or schedule.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.adamw(0.1, weight_decay=0.5)
      >>> p = np.asarray([1.0, 2.0])
      >>> tx.update(np.ones(2), tx.init(p), p)[0].round(6)
      array([-0.15, -0.2 ])

    Source:
      Loshchilov, Hutter, 2019: Decoupled Weight Decay Regularization (arXiv 1711.05101), Algorithm 2.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(checks.number("learning_rate", learning_rate)),
    )

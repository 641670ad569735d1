"""Adafactor: a mean square that takes the memory of a row and a column instead of a matrix.

    d = 1 − (k − o + 1)^(−c)               k = 0, 1, …; o the offset
    matrices   R ← d R + (1 − d) mean_rows(g² + ε)      C ← d C + (1 − d) mean_columns(g² + ε)
               u = g / √(R C / mean(R))
    the rest   V ← d V + (1 − d) (g² + ε)               u = g / √V
    u ← u / max(1, rms(u) / threshold)
    u ← −(η max(rms(p), 10⁻³) u + λ p)

Shazeer, Stern, 2018: Adafactor: Adaptive Learning Rates with Sublinear Memory Cost (arXiv 1804.04235),
Algorithms 4 (matrices) and 5 (vectors).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

from arrayopt import checks
from arrayopt.base import GradientTransformation, GradientTransformationExtraArgs, init_empty_state, remembering
from arrayopt.calls import by_call
from arrayopt.dispatch import namespace
from arrayopt.lift import check_scalar, counter, lift, parameters, zeros_slot
from arrayopt.numerics import (
    GREATEST,
    abs2,
    at,
    at_least,
    ema,
    mean,
    quick_rms,
    real,
    rms,
    safe_increment,
    spread,
    sqrt,
    summable,
    total,
)
from arrayopt.transforms.accumulation import ema as averaged
from arrayopt.transforms.combining import chain
from arrayopt.transforms.decay import add_decayed_weights
from arrayopt.transforms.scaling import scale, scale_by_learning_rate
from arrayopt.types import Array, Counter, DType, MaskOrFn, OptState, Params, Scalar, ScalarOrSchedule, Tree, Updates


class FactoredState(NamedTuple):
    """State of `scale_by_factored_rms`. A leaf uses the first two or the third; the unused have shape (1,)."""

    count: Counter  # steps taken; shape (), int32
    v_row: Tree  # mean of g² over the largest axis; the parameter's shape without that axis, at least float32
    v_col: Tree  # mean of g² over the second largest axis; the shape without that axis, at least float32
    v: Tree  # mean of g² of a leaf that is not factored; the parameter's shape, at least float32


def _factored_axes(shape: tuple[int, ...], factored: bool, least: int) -> tuple[int, int] | None:
    """The largest and the second largest axis, of equal ones the later counting as larger; None: not factored."""
    if not factored or len(shape) < 2:
        return None
    *_, second, first = sorted(range(len(shape)), key=lambda axis: (shape[axis], axis))
    return (first, second) if shape[second] >= least else None


def _factored(
    g: Array, v_row: Array, v_col: Array, v: Array, *, p: Array, d: Scalar, eps: Scalar, factored: bool, least: int
) -> tuple[Array, Array, Array, Array]:
    del p  # its shape was checked
    axes = _factored_axes(g.shape, factored, least)
    finite = summable(g, count=g.shape[axes[0]] if axes else 1)
    bad, g = g - g, finite  # 0, but where g is not finite
    square = abs2(g) + eps
    if axes is None:
        v = ema(v, square, d)
        return g / sqrt(v) + bad, v_row, v_col, v
    first, second = axes
    v_row = ema(v_row, mean(square, first), d)
    v_col = ema(v_col, mean(square, second), d)
    level = mean(v_row, second - 1 if second > first else second, keepdims=True)
    row = sqrt(v_row / level)
    return g / spread(row, first) / spread(sqrt(v_col), second) + bad, v_row, v_col, v


def decay_rate_pow(i: Any, exponent: Any = 0.8) -> Any:
    """Adafactor's decay 1 − t^(−c) at t = i + 1 = 1, 2, …"""
    return 1.0 - (i + 1.0) ** (-exponent)


@by_call
def scale_by_factored_rms(
    factored: bool = True,
    decay_rate: Scalar = 0.8,
    step_offset: int = 0,
    min_dim_size_to_factor: int = 128,
    epsilon: ScalarOrSchedule = 1e-30,
    decay_rate_fn: Callable[[Any, Any], Any] = decay_rate_pow,
) -> GradientTransformation:
    """Divides the gradient by the root of a mean square that is kept factored for matrices.

    A leaf of two or more dimensions whose second largest axis has at least ``min_dim_size_to_factor`` entries is
    factored along its two largest axes.

    Args:
      factored: whether to factor at all.
      decay_rate: c, the exponent of the decay 1 − t^(−c); at c = 0.8 memory grows with the steps.
      step_offset: o, steps taken before; the decay starts anew at step o. Up to there it is that of step 1. A
        negative one begins later: at the decay of step 1 − o.
      min_dim_size_to_factor: least length of the second largest axis of a leaf to be factored.
      epsilon: ε ≥ 0, added to the squared gradient, in its units.
      decay_rate_fn: from max(k − o, 0), a real number or real 0-d array, and c to the decay.

    Returns:
      A transform with `FactoredState`; ``update`` needs the parameters. Updates have shape and dtype of the
      gradients.

    Raises:
      ValueError: a hyper-parameter is out of range. From ``update``: the parameters are missing.
      TypeError: a hyper-parameter is of the wrong type.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.scale_by_factored_rms(min_dim_size_to_factor=2)
      >>> p = np.zeros((2, 3))
      >>> g = np.outer([1.0, -2.0], [1.0, 3.0, 5.0])
      >>> u, state = tx.update(g, tx.init(p), p)
      >>> u.round(6)
      array([[ 1.,  1.,  1.],
             [-1., -1., -1.]])
      >>> state.v_row.shape, state.v_col.shape, state.v.shape
      ((2,), (3,), (1,))

    Source:
      Shazeer, Stern, 2018 (arXiv 1804.04235), Algorithms 1, 2 and section 7.2.
    """
    who, split = checks.speaker(), checks.flag("factored", factored)
    exponent, eps = checks.fixed("decay_rate", decay_rate, low=0.0), checks.nonnegative("epsilon", epsilon)
    offset = checks.whole("step_offset", step_offset, low=-GREATEST)
    least = checks.whole("min_dim_size_to_factor", min_dim_size_to_factor)
    decay_at = checks.function("decay_rate_fn", decay_rate_fn)

    def init(params: Params) -> FactoredState:
        leaves, spec = parameters(who, params)
        slots = [_slots(leaf, _factored_axes(leaf.shape, split, least)) for leaf in leaves]
        v_row, v_col, v = [spec.unflatten([slot[i] for slot in slots]) for i in range(3)]
        return FactoredState(counter(params), v_row, v_col, v)

    def update(updates: Updates, state: FactoredState, params: Params = None) -> tuple[Updates, FactoredState]:
        checks.need_params(who, params)
        check_scalar(who, "decay_rate", exponent, state.count)
        d = decay_at(at_least(real(state.count) - offset, 0.0), exponent)
        words: dict[str, Any] = {"factored": split, "least": least, **at(state.count, eps=eps)}
        slots = state.v_row, state.v_col, state.v
        u, v_row, v_col, v = lift(who, _factored, updates, *slots, params=params, d=d, **words)
        return u, FactoredState(safe_increment(state.count), v_row, v_col, v)

    return remembering(who, FactoredState, init, update)


def _slots(leaf: Array, axes: tuple[int, int] | None) -> tuple[Array, Array, Array]:
    zeros = zeros_slot(leaf, real=True)

    def unused() -> Array:  # each its own: no two slots may share a buffer
        return namespace(leaf).reshape(total(zeros), (1,))

    if axes is None:
        return unused(), unused(), zeros
    first, second = axes
    return total(zeros, first), total(zeros, second), unused()


def _times_rms(g: Array, *, p: Array, min_scale: Scalar) -> Array:
    return g * at_least(rms(p), min_scale)


@by_call
def scale_by_param_block_rms(min_scale: Scalar = 1e-3) -> GradientTransformation:
    """Multiplies each leaf by the root mean square of its parameter, so that steps are relative to it.

    u · max(rms(p), s).

    Args:
      min_scale: s ≥ 0, the least factor, in units of the parameter.

    Returns:
      A transform with `EmptyState`; ``update`` needs the parameters.

    Raises:
      ValueError: ``min_scale`` is out of range. From ``update``: the parameters are missing.
      TypeError: ``min_scale`` is neither a number nor a 0-d array.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.scale_by_param_block_rms()
      >>> p = np.full(3, -2.0)
      >>> tx.update(np.ones(3), tx.init(p), p)[0]
      array([2., 2., 2.])

    Source:
      Shazeer, Stern, 2018 (arXiv 1804.04235), section 8: Relative Step Size.
    """
    return _link(_times_rms, True, min_scale=checks.fixed("min_scale", min_scale, low=0.0))


def _link(formula: Callable[..., Any], with_params: bool, **scalars: Any) -> GradientTransformation:
    """A formula of one leaf, without a state."""
    who = checks.speaker()

    def update(updates: Updates, state: OptState, params: Params = None) -> tuple[Updates, OptState]:
        if with_params:
            checks.need_params(who, params)
        return lift(who, formula, updates, params=params if with_params else None, **scalars), state

    return GradientTransformation(init_empty_state, update)


def _within_quick_rms(g: Array, *, threshold: Scalar) -> Array:
    return g / at_least(quick_rms(g) / threshold, 1.0)


def _times_quick_rms(g: Array, *, p: Array, min_scale: Scalar) -> Array:
    return g * at_least(quick_rms(p), min_scale)


@by_call
def adafactor(
    learning_rate: ScalarOrSchedule | None = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: Scalar = 0.8,
    decay_offset: int = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: Scalar | None = 1.0,
    momentum: Scalar | None = None,
    dtype_momentum: DType = "float32",
    weight_decay_rate: ScalarOrSchedule | None = None,
    eps: ScalarOrSchedule = 1e-30,
    factored: bool = True,
    weight_decay_mask: MaskOrFn = None,
) -> GradientTransformationExtraArgs:
    """Adafactor: adaptive steps for large matrices with almost no memory.

    g over the factored root mean square, clipped in rms, times η, times rms(p); then momentum, then decay, then
    the sign.

    Args:
      learning_rate: η, relative to the parameter's rms if ``multiply_by_parameter_scale``; a number, a 0-d array
        or a schedule of the step 0, 1, … None: no factor (the paper's relative step sizes are not included).
      min_dim_size_to_factor: least length of the second largest axis of a leaf to be factored.
      decay_rate: c, the exponent of the decay 1 − t^(−c).
      decay_offset: o, steps taken before; the decay starts anew at step o. A negative one begins later: at the
        decay of step 1 − o.
      multiply_by_parameter_scale: whether to multiply by max(rms(p), 10⁻³).
      clipping_threshold: d > 0, the greatest rms of a leaf's update before the learning rate; None: no clipping.
      momentum: decay in [0, 1) of an average over the scaled updates; None for none.
      dtype_momentum: dtype of that average, or its name.
      weight_decay_rate: λ ≥ 0; λ p is subtracted as it is, not scaled by the learning rate. None for none.
      eps: ε ≥ 0, added to the squared gradient, in its units.
      factored: whether to factor at all.
      weight_decay_mask: which parameters decay: a tree of bools, a prefix of one, or a function that makes one
        from the parameters. None: all.

    Returns:
      A transform; ``update`` needs the parameters. Updates have shape and dtype of the gradients.

    Raises:
      ValueError: a hyper-parameter is out of range. From ``update``: the parameters are missing.
      TypeError: a hyper-parameter is of the wrong type.

    Example:
      >>> import arrayopt, numpy as np
      >>> tx = arrayopt.adafactor(learning_rate=0.003)
      >>> x = np.asarray([1.0, 2.0, 3.0])
      >>> state = tx.init(x)
      >>> for _ in range(5):
      ...     u, state = tx.update(2 * x, state, x)
      ...     x = arrayopt.apply_updates(x, u)
      ...     print(f"{(x**2).sum():.2E}", end=" ")
      1.39E+01 1.38E+01 1.38E+01 1.37E+01 1.36E+01

    Source:
      Shazeer, Stern, 2018: Adafactor: Adaptive Learning Rates with Sublinear Memory Cost (arXiv 1804.04235),
      Algorithms 4 and 5.
    """
    offset, tiny = checks.whole("decay_offset", decay_offset, low=-GREATEST), checks.nonnegative("eps", eps)
    kind = checks.slot_dtype("dtype_momentum", dtype_momentum)
    links: list[Any] = [scale_by_factored_rms(factored, decay_rate, offset, min_dim_size_to_factor, tiny)]
    if clipping_threshold is not None:
        threshold = checks.fixed("clipping_threshold", clipping_threshold, above=0.0)
        links.append(_link(_within_quick_rms, False, threshold=threshold))
    if learning_rate is not None:
        links.append(scale_by_learning_rate(learning_rate, flip_sign=False))
    if checks.flag("multiply_by_parameter_scale", multiply_by_parameter_scale):
        links.append(_link(_times_quick_rms, True, min_scale=1e-3))
    if momentum is not None:
        rate = checks.decay("momentum", checks.fixed("momentum", momentum))
        links.append(averaged(cast(Scalar, rate), debias=False, accumulator_dtype=kind))
    if weight_decay_rate is not None:
        decay = checks.nonnegative("weight_decay_rate", weight_decay_rate)
        links.append(add_decayed_weights(decay, weight_decay_mask))
    return chain(*links, scale(-1))

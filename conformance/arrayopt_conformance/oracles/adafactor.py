"""Adafactor: Adam's second moment, kept as one row and one column (scale_by_factored_rms).

    q = |g|² + ε
    R ← d(k)·R + (1 − d(k))·mean of q along the largest axis
    C ← d(k)·C + (1 − d(k))·mean of q along the second largest axis
    u = g/√V,  V = R·C/(mean of R along the second largest axis)

Of equally large axes the last counts as the largest. A leaf with fewer than two axes, or whose second
largest axis is below min_dim_size_to_factor, keeps V ← d(k)·V + (1 − d(k))·q itself.
The decay grows from zero, d(k) = 1 − t^(−decay_rate) with t = max(k − step_offset + 1, 1): before the
offset is reached nothing is remembered. ε may be a schedule.

scale_by_param_block_rms is u = g·max(rms(p), ε₂), leaf by leaf, with the parameters before this step. adafactor is a
chain:

    u ← g/√V, factored                      scale_by_factored_rms
    u ← u/max(1, rms(u)/d)                  clip_by_block_rms, unless the threshold is None
    u ← η(k)·u                              nothing without a learning rate
    u ← u·max(rms(p), 10⁻³)                 scale_by_param_block_rms, if multiply_by_parameter_scale
    m ← β·m + (1 − β)·u,  u ← m             ema without debias, if momentum
    u ← u + λ(k)·p                          add_decayed_weights: neither η nor β touches the decay
    u ← −u

N. Shazeer, M. Stern (2018), Adafactor: Adaptive Learning Rates with Sublinear Memory Cost,
arXiv:1804.04235, algorithms 4 and 5. The paper's own η(k), min(10⁻², 1/√t), is left to the caller.
"""

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from . import Array, Hyperbola, Matrices, ScalarOrSchedule, Schedule, at, leaf_by_leaf, rms
from .accumulation import ema
from .clipping import clip_by_block_rms
from .decay import RISING, Mask, add_decayed_weights
from .scaling import DECAYING, scale, scale_by_learning_rate

FADING = Schedule.of("exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.7)

_SMALL = {"min_dim_size_to_factor": 2}  # so that the leaves of SHAPES are factored
_MOMENTUM = {"momentum": 0.9, "dtype_momentum": "float64"}


def power(i: int, decay_rate: float) -> float:
    """decay after i earlier steps"""
    return 1 - math.pow(i + 1, -decay_rate)


@leaf_by_leaf(
    reach="leafwise",
    cases={
        "defaults": {},
        "factored": {"min_dim_size_to_factor": 2},
        "unfactored": {"factored": False, "min_dim_size_to_factor": 2},
        "some_factored": {"min_dim_size_to_factor": 5},
        "just_factored": {"min_dim_size_to_factor": 4},
        "decay_rate": {"decay_rate": 0.5, "min_dim_size_to_factor": 2},
        "step_offset": {"step_offset": 3, "min_dim_size_to_factor": 2},
        "epsilon": {"epsilon": 1e-3, "min_dim_size_to_factor": 2},
        "epsilon_schedule": {"epsilon": FADING, "min_dim_size_to_factor": 2},
        "unfactored_epsilon": {"epsilon": 1e-3},
        "decay_rate_fn": {"decay_rate_fn": Hyperbola(2.0), "min_dim_size_to_factor": 2},
        "everything": {"decay_rate": 0.6, "step_offset": 2, "epsilon": 1e-3, "min_dim_size_to_factor": 3},
    },
)
def scale_by_factored_rms(
    p: Array,
    gs: Iterable[Array],
    *,
    factored: bool = True,
    decay_rate: float = 0.8,
    step_offset: int = 0,
    min_dim_size_to_factor: int = 128,
    epsilon: ScalarOrSchedule = 1e-30,
    decay_rate_fn: Callable[[int, float], float] = power,
) -> Iterator[Array]:
    axes = sorted(range(p.ndim), key=lambda axis: (p.shape[axis], axis))  # by size, ties by place
    factored = factored and p.ndim >= 2 and p.shape[axes[-2]] >= min_dim_size_to_factor
    r = c = v = np.zeros(())
    for k, g in enumerate(gs):
        d = decay_rate_fn(max(k - step_offset, 0), decay_rate)
        q = abs(g) ** 2 + at(epsilon, k)
        if factored:
            largest, second = axes[-1], axes[-2]
            r = d * r + (1 - d) * np.mean(q, axis=largest, keepdims=True)
            c = d * c + (1 - d) * np.mean(q, axis=second, keepdims=True)
            v = r * c / np.mean(r, axis=second, keepdims=True)
        else:
            v = d * v + (1 - d) * q
        yield g / np.sqrt(v)


@leaf_by_leaf(reach="leafwise", cases={"defaults": {}, "sometimes": {"min_scale": 2.0}, "always": {"min_scale": 1e4}})
def scale_by_param_block_rms(p: Array, gs: Iterable[Array], *, min_scale: float = 1e-3) -> Iterator[Array]:
    for g in gs:
        yield g * max(rms(p), min_scale)


@leaf_by_leaf(
    reach="leafwise",
    cases={
        "defaults": {},
        "factored": {**_SMALL},
        "unfactored": {**_SMALL, "factored": False},
        "some_factored": {"min_dim_size_to_factor": 5},
        "just_factored": {"min_dim_size_to_factor": 4},
        "learning_rate": {**_SMALL, "learning_rate": 0.05},
        "schedule": {**_SMALL, "learning_rate": DECAYING},
        "decay_rate": {**_SMALL, "decay_rate": 0.5},
        "decay_offset": {**_SMALL, "decay_offset": 3},
        "unfactored_decay_offset": {"decay_offset": 3},
        "absolute_scale": {**_SMALL, "learning_rate": 0.05, "multiply_by_parameter_scale": False},
        "clipping_threshold": {**_SMALL, "clipping_threshold": 0.3},
        "unclipped": {**_SMALL, "clipping_threshold": None},
        "momentum": {**_SMALL, "learning_rate": 0.05, **_MOMENTUM},
        "momentum_and_schedule": {**_SMALL, "learning_rate": DECAYING, **_MOMENTUM},
        "dtype_momentum": {**_SMALL, "momentum": 0.9, "dtype_momentum": "float32"},
        "weight_decay_rate": {**_SMALL, "learning_rate": 0.05, "weight_decay_rate": 0.1},
        "weight_decay_schedule": {**_SMALL, "learning_rate": DECAYING, "weight_decay_rate": RISING},
        "weight_decay_mask": {**_SMALL, "weight_decay_rate": 0.1, "weight_decay_mask": Matrices()},
        "mask_without_decay": {**_SMALL, "weight_decay_mask": Matrices()},
        "momentum_and_decay": {**_SMALL, "learning_rate": 0.05, **_MOMENTUM, "weight_decay_rate": 0.1},
        # Each step leaves a tenth of the parameters, which soon are below the floor of 10⁻³.
        "tiny_parameters": {**_SMALL, "learning_rate": 0.1, "weight_decay_rate": 1.0},
        "eps": {**_SMALL, "eps": 1e-3},
        "eps_schedule": {**_SMALL, "eps": FADING},
        "everything": {
            **_SMALL,
            "learning_rate": DECAYING,
            "decay_rate": 0.6,
            "decay_offset": 2,
            "eps": 1e-3,
            "clipping_threshold": 0.3,
            **_MOMENTUM,
            "weight_decay_rate": RISING,
            "weight_decay_mask": Matrices(),
        },
    },
)
def adafactor(
    p: Array,
    gs: Iterable[Array],
    *,
    learning_rate: ScalarOrSchedule | None = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: float = 0.8,
    decay_offset: int = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: float | None = 1.0,
    momentum: float | None = None,
    dtype_momentum: str = "float32",
    weight_decay_rate: ScalarOrSchedule | None = None,
    eps: ScalarOrSchedule = 1e-30,
    factored: bool = True,
    weight_decay_mask: Mask = None,
) -> Iterator[Array]:
    us = scale_by_factored_rms.leaf(
        p,
        gs,
        factored=factored,
        decay_rate=decay_rate,
        step_offset=decay_offset,
        min_dim_size_to_factor=min_dim_size_to_factor,
        epsilon=eps,
    )
    if clipping_threshold is not None:
        us = clip_by_block_rms.leaf(p, us, threshold=clipping_threshold)
    us = scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate, flip_sign=False)
    if multiply_by_parameter_scale:
        us = scale_by_param_block_rms.leaf(p, us, min_scale=1e-3)
    if momentum is not None:
        us = ema.leaf(p, us, decay=momentum, debias=False, accumulator_dtype=dtype_momentum)
    if weight_decay_rate is not None:
        us = add_decayed_weights.leaf(p, us, weight_decay=weight_decay_rate, mask=weight_decay_mask)
    return scale.leaf(p, us, step_size=-1.0)

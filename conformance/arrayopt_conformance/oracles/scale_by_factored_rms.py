"""Adafactor's direction: Adam's second moment, kept as one row and one column.

    q = |g|² + ε
    R ← d(k)·R + (1 − d(k))·mean of q along the largest axis
    C ← d(k)·C + (1 − d(k))·mean of q along the second largest axis
    u = g/√V,  V = R·C/(mean of R along the second largest axis)

Of equally large axes the last counts as the largest. A leaf with fewer than two axes, or whose second
largest axis is below min_dim_size_to_factor, keeps V ← d(k)·V + (1 − d(k))·q itself.
The decay grows from zero, d(k) = 1 − t^(−decay_rate) with t = max(k − step_offset + 1, 1): before the
offset is reached nothing is remembered. ε may be a schedule.

N. Shazeer, M. Stern (2018), Adafactor: Adaptive Learning Rates with Sublinear Memory Cost,
arXiv:1804.04235, algorithms 4 and 5.
"""

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from . import Array, Cases, Hyperbola, ScalarOrSchedule, Schedule, at, leaf_by_leaf


def power(i: int, decay_rate: float) -> float:
    """decay after i earlier steps"""
    return 1 - math.pow(i + 1, -decay_rate)


@leaf_by_leaf
def oracle(
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


REACH = "leafwise"
FADING = Schedule.of("exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.7)

CASES: Cases = {
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
}

"""AdaBelief's direction.

    m ← β₁·m + (1 − β₁)·g                     m̂ = m/(1 − β₁ᵗ)
    s ← β₂·s + (1 − β₂)·|g − m|² + ε̄          ŝ = s/(1 − β₂ᵗ)
    u = m̂/(√ŝ + ε)

with the new m inside s, and ε̄ part of the s that is kept, so it accumulates to ε̄/(1 − β₂) in ŝ;
with nesterov  m̂ = β₁·m/(1 − β₁ᵗ⁺¹) + (1 − β₁)·g/(1 − β₁ᵗ).

J. Zhuang et al. (2020), AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients,
arXiv:2010.07468, algorithm 2. Any of the four numbers may be a schedule.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, Cases, ScalarOrSchedule, at, leaf_by_leaf
from .scale_by_adam import SCHEDULES


@leaf_by_leaf
def oracle(
    p: Array,
    gs: Iterable[Array],
    *,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-16,
    eps_root: ScalarOrSchedule = 1e-16,
    nesterov: bool = False,
) -> Iterator[Array]:
    m = np.zeros_like(p)
    s = np.zeros(p.shape)
    for k, g in enumerate(gs):
        t, b1_k, b2_k = k + 1, at(b1, k), at(b2, k)
        m = b1_k * m + (1 - b1_k) * g
        s = b2_k * s + (1 - b2_k) * abs(g - m) ** 2 + at(eps_root, k)
        m_hat = m / (1 - b1_k**t)
        if nesterov:
            m_hat = b1_k * m / (1 - b1_k ** (t + 1)) + (1 - b1_k) * g / (1 - b1_k**t)
        s_hat = s / (1 - b2_k**t)
        yield m_hat / (np.sqrt(s_hat) + at(eps, k))


REACH = "elementwise"
CASES: Cases = {
    "defaults": {},
    "betas": {"b1": 0.7, "b2": 0.8},
    # Without the first memory g − m = 0 and s is ε̄ alone: the sum of its decayed deposits.
    "memoryless": {"b1": 0.0, "eps_root": 0.05},
    "eps": {"eps": 0.1},
    "eps_root": {"b2": 0.9, "eps_root": 0.05},
    "nesterov": {"nesterov": True},
    "schedules": SCHEDULES,
    "everything": {"b1": 0.8, "b2": 0.9, "eps": 0.1, "eps_root": 0.05, "nesterov": True},
}

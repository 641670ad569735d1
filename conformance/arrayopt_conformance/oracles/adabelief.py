"""AdaBelief.

    m ← β₁·m + (1 − β₁)·g                     m̂ = m/(1 − β₁ᵗ)
    s ← β₂·s + (1 − β₂)·|g − m|² + ε̄          ŝ = s/(1 − β₂ᵗ)

    scale_by_belief    u = m̂/(√ŝ + ε)
    adabelief          u = −η(k)·(m̂/(√ŝ + ε) + λ(k)·p), no decay unless it is asked for

with the new m inside s, and ε̄ part of the s that is kept, so it accumulates to ε̄/(1 − β₂) in ŝ;
with nesterov  m̂ = β₁·m/(1 − β₁ᵗ⁺¹) + (1 − β₁)·g/(1 − β₁ᵗ). Any of the four numbers may be a schedule.

J. Zhuang et al. (2020), AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients,
arXiv:2010.07468, algorithm 2.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, Matrices, ScalarOrSchedule, at, leaf_by_leaf
from .adam import SCHEDULES
from .decay import RISING, Mask, add_decayed_weights
from .scaling import DECAYING, scale_by_learning_rate


@leaf_by_leaf(
    reach="elementwise",
    cases={
        "defaults": {},
        "betas": {"b1": 0.7, "b2": 0.8},
        # Without the first memory g − m = 0 and s is ε̄ alone: the sum of its decayed deposits.
        "memoryless": {"b1": 0.0, "eps_root": 0.05},
        "eps": {"eps": 0.1},
        "eps_root": {"b2": 0.9, "eps_root": 0.05},
        "nesterov": {"nesterov": True},
        "schedules": SCHEDULES,
        "everything": {"b1": 0.8, "b2": 0.9, "eps": 0.1, "eps_root": 0.05, "nesterov": True},
    },
)
def scale_by_belief(
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


@leaf_by_leaf(
    reach="elementwise",
    cases={
        **{name: {"learning_rate": 0.1, **case} for name, case in scale_by_belief.cases.items()},
        "schedule": {"learning_rate": DECAYING},
        "schedule_and_everything": {"learning_rate": DECAYING, **scale_by_belief.cases["everything"]},
        "weight_decay": {"learning_rate": 0.1, "weight_decay": 0.3},
        "weight_decay_schedule": {"learning_rate": DECAYING, "weight_decay": RISING},
        "mask": {"learning_rate": 0.1, "weight_decay": 0.3, "weight_decay_mask": Matrices()},
        "mask_without_decay": {"learning_rate": 0.1, "weight_decay_mask": Matrices()},
    },
)
def adabelief(
    p: Array,
    gs: Iterable[Array],
    *,
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-16,
    eps_root: ScalarOrSchedule = 1e-16,
    weight_decay: ScalarOrSchedule | None = None,
    weight_decay_mask: Mask = None,
    nesterov: bool = False,
) -> Iterator[Array]:
    us = scale_by_belief.leaf(p, gs, b1=b1, b2=b2, eps=eps, eps_root=eps_root, nesterov=nesterov)
    if weight_decay is not None:
        us = add_decayed_weights.leaf(p, us, weight_decay=weight_decay, mask=weight_decay_mask)
    return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)

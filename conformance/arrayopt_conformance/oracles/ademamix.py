"""AdEMAMix: Adam with a fast and a slow memory of the gradient.

    m₁ ← β₁·m₁ + (1 − β₁)·g              m̂₁ = m₁/(1 − β₁ᵗ)
    m₂ ← β₃(k)·m₂ + (1 − β₃(k))·g        not corrected: it starts small on purpose
    v  ← β₂·v + (1 − β₂)·|g|²            v̂ = v/(1 − β₂ᵗ)

    scale_by_ademamix    u = (m̂₁ + α(k)·m₂)/(√(v̂ + ε̄) + ε)
    ademamix             u = −η(k)·((m̂₁ + α(k)·m₂)/(√(v̂ + ε̄) + ε) + λ(k)·p)

Any of the six numbers may be a schedule. By default α is 6 in scale_by_ademamix, and 5 in ademamix.

M. Pagliardini, P. Ablin, D. Grangier (2024), The AdEMAMix Optimizer: Better, Faster, Older,
arXiv:2409.03137.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, Matrices, ScalarOrSchedule, Schedule, at, leaf_by_leaf, stored
from .adam import SCHEDULES
from .decay import RISING, Mask, add_decayed_weights
from .scaling import DECAYING, scale_by_learning_rate

# The slow memory must weigh something within a dozen steps, hence b3 = .95 instead of .9999.
# Of long fractions: 0.95 times a float32 number may be the very middle of two, and either is right then.
_B3 = Schedule.of("linear_schedule", init_value=0.6037, end_value=0.9513, transition_steps=6)
_ALPHA = Schedule.of("polynomial_schedule", init_value=0.5, end_value=8, power=2, transition_steps=9)


@leaf_by_leaf(
    reach="elementwise",
    cases={
        "defaults": {},
        "betas": {"b1": 0.7, "b2": 0.8, "b3": 0.95},
        "memoryless": {"b1": 0.0, "b2": 0.0, "b3": 0.0},
        "b3_schedule": {"b3": _B3},
        "alpha": {"b3": 0.95, "alpha": 2.0},
        "no_alpha": {"b3": 0.95, "alpha": 0.0},
        "alpha_schedule": {"b3": 0.95, "alpha": _ALPHA},
        "eps": {"b3": 0.95, "eps": 0.1},
        "eps_root": {"b3": 0.95, "eps_root": 0.05},
        "mu_dtype": {"b3": 0.95, "mu_dtype": "float32"},
        "schedules": {**SCHEDULES, "b3": _B3, "alpha": _ALPHA},
        "everything": {
            "b1": 0.8,
            "b2": 0.9,
            "b3": _B3,
            "alpha": _ALPHA,
            "eps": 0.1,
            "eps_root": 0.05,
            "mu_dtype": "float32",
        },
    },
)
def scale_by_ademamix(
    p: Array,
    gs: Iterable[Array],
    *,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    b3: ScalarOrSchedule = 0.9999,
    alpha: ScalarOrSchedule = 6.0,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: str | None = None,
) -> Iterator[Array]:
    m1 = np.zeros_like(p)
    m2 = np.zeros_like(p)
    v = np.zeros(p.shape)
    for k, g in enumerate(gs):
        t, b1_k, b2_k = k + 1, at(b1, k), at(b2, k)
        b3_k, alpha_k = at(b3, k), at(alpha, k)
        m1 = b1_k * m1 + (1 - b1_k) * g
        m2 = b3_k * m2 + (1 - b3_k) * g
        v = b2_k * v + (1 - b2_k) * abs(g) ** 2
        m1_hat = m1 / (1 - b1_k**t)
        v_hat = v / (1 - b2_k**t)
        yield (m1_hat + alpha_k * m2) / (np.sqrt(v_hat + at(eps_root, k)) + at(eps, k))
        m1, m2 = stored(m1, mu_dtype), stored(m2, mu_dtype)


@leaf_by_leaf(
    reach="elementwise",
    cases={
        **{name: {"learning_rate": 0.1, **case} for name, case in scale_by_ademamix.cases.items()},
        "schedule": {"learning_rate": DECAYING},
        "default_alpha": {"learning_rate": 0.1, "b3": 0.9},
        "weight_decay": {"learning_rate": 0.1, "b3": 0.95, "weight_decay": 0.3},
        "weight_decay_schedule": {"learning_rate": DECAYING, "weight_decay": RISING},
        "mask": {"learning_rate": 0.1, "weight_decay": 0.3, "mask": Matrices()},
        "schedule_and_everything": {
            "learning_rate": DECAYING,
            **scale_by_ademamix.cases["everything"],
            "weight_decay": 0.3,
        },
    },
)
def ademamix(
    p: Array,
    gs: Iterable[Array],
    *,
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    b3: ScalarOrSchedule = 0.9999,
    alpha: ScalarOrSchedule = 5.0,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: str | None = None,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: Mask = None,
) -> Iterator[Array]:
    us = scale_by_ademamix.leaf(
        p, gs, b1=b1, b2=b2, b3=b3, alpha=alpha, eps=eps, eps_root=eps_root, mu_dtype=mu_dtype
    )
    us = add_decayed_weights.leaf(p, us, weight_decay=weight_decay, mask=mask)
    return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)

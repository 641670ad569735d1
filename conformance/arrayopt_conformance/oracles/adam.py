"""Adam.

    m ← β₁·m + (1 − β₁)·g            m̂ = m/(1 − β₁ᵗ)
    v ← β₂·v + (1 − β₂)·|g|²         v̂ = v/(1 − β₂ᵗ)

    scale_by_adam    u = m̂/(√(v̂ + ε̄) + ε)
    adam             u = −η(k)·m̂/(√(v̂ + ε̄) + ε)
    adamw            u = −η(k)·(m̂/(√(v̂ + ε̄) + ε) + λ(k)·p)

with nesterov  m̂ = β₁·m/(1 − β₁ᵗ⁺¹) + (1 − β₁)·g/(1 − β₁ᵗ). Any of the four numbers may be a schedule.
The decay is multiplied by the whole learning rate, not by the schedule's share of it only.

D. P. Kingma, J. Ba (2014), Adam: A Method for Stochastic Optimization, arXiv:1412.6980, algorithm 1;
T. Dozat (2016), Incorporating Nesterov Momentum into Adam;
adamw: I. Loshchilov, F. Hutter (2017), Decoupled Weight Decay Regularization, arXiv:1711.05101, algorithm 2.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, Matrices, ScalarOrSchedule, Schedule, at, leaf_by_leaf, stored
from .decay import RISING, Mask, add_decayed_weights
from .scaling import DECAYING, scale_by_learning_rate

# Schedules of all that may have one, each different at every step.
SCHEDULES = {
    "b1": Schedule.of("linear_schedule", init_value=0.5, end_value=0.9, transition_steps=20),
    "b2": Schedule.of("exponential_decay", init_value=0.97, transition_steps=10, decay_rate=0.8),
    "eps": Schedule.of("exponential_decay", init_value=0.2, transition_steps=3, decay_rate=0.7),
    "eps_root": Schedule.of("linear_schedule", init_value=0.1, end_value=0.5, transition_steps=20),
}


@leaf_by_leaf(
    reach="elementwise",
    cases={
        "defaults": {},
        "betas": {"b1": 0.7, "b2": 0.8},
        "memoryless": {"b1": 0.0, "b2": 0.0},
        "eps": {"eps": 0.1},
        "eps_root": {"eps_root": 0.05},
        "nesterov": {"nesterov": True},
        "mu_dtype": {"mu_dtype": "float32"},
        "schedules": SCHEDULES,
        "everything": {
            "b1": 0.8,
            "b2": 0.9,
            "eps": 0.1,
            "eps_root": 0.05,
            "mu_dtype": "float32",
            "nesterov": True,
        },
    },
)
def scale_by_adam(
    p: Array,
    gs: Iterable[Array],
    *,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: str | None = None,
    nesterov: bool = False,
) -> Iterator[Array]:
    m = np.zeros_like(p)
    v = np.zeros(p.shape)
    for k, g in enumerate(gs):
        t, b1_k, b2_k = k + 1, at(b1, k), at(b2, k)
        m = b1_k * m + (1 - b1_k) * g
        v = b2_k * v + (1 - b2_k) * abs(g) ** 2
        m_hat = m / (1 - b1_k**t)
        if nesterov:
            m_hat = b1_k * m / (1 - b1_k ** (t + 1)) + (1 - b1_k) * g / (1 - b1_k**t)
        v_hat = v / (1 - b2_k**t)
        yield m_hat / (np.sqrt(v_hat + at(eps_root, k)) + at(eps, k))
        m = stored(m, mu_dtype)  # rounded for the next step, not for this one


@leaf_by_leaf(
    reach="elementwise",
    cases={
        **{name: {"learning_rate": 0.1, **case} for name, case in scale_by_adam.cases.items()},
        "schedule": {"learning_rate": DECAYING},
        "schedule_and_everything": {"learning_rate": DECAYING, **scale_by_adam.cases["everything"]},
    },
)
def adam(
    p: Array,
    gs: Iterable[Array],
    *,
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: str | None = None,
    nesterov: bool = False,
) -> Iterator[Array]:
    us = scale_by_adam.leaf(p, gs, b1=b1, b2=b2, eps=eps, eps_root=eps_root, mu_dtype=mu_dtype, nesterov=nesterov)
    return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)


@leaf_by_leaf(
    reach="elementwise",
    cases={
        **adam.cases,
        "weight_decay": {"learning_rate": 0.1, "weight_decay": 0.3},
        "no_weight_decay": {"learning_rate": 0.1, "weight_decay": 0.0},
        "weight_decay_schedule": {"learning_rate": 0.1, "weight_decay": RISING},
        "two_schedules": {"learning_rate": DECAYING, "weight_decay": RISING},
        "mask": {"learning_rate": 0.1, "weight_decay": 0.3, "mask": Matrices()},
        "decay_and_everything": {
            "learning_rate": DECAYING,
            **adam.cases["everything"],
            "weight_decay": RISING,
            "mask": Matrices(),
        },
    },
)
def adamw(
    p: Array,
    gs: Iterable[Array],
    *,
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: str | None = None,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: Mask = None,
    nesterov: bool = False,
) -> Iterator[Array]:
    us = scale_by_adam.leaf(p, gs, b1=b1, b2=b2, eps=eps, eps_root=eps_root, mu_dtype=mu_dtype, nesterov=nesterov)
    us = add_decayed_weights.leaf(p, us, weight_decay=weight_decay, mask=mask)
    return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)

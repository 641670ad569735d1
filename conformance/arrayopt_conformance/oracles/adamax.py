"""Adamax, Adam in the infinity norm.

    m ← β₁·m + (1 − β₁)·g            m̂ = m/(1 − β₁ᵗ)
    v ← max(β₂·v, |g| + ε)

    scale_by_adamax    u = m̂/v
    adamax             u = −η(k)·m̂/v
    adamaxw            u = −η(k)·(m̂/v + λ(k)·p)

D. P. Kingma, J. Ba (2014), Adam: A Method for Stochastic Optimization, arXiv:1412.6980, algorithm 2, with the ε of
Optax. Any of the three numbers may be a schedule.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, Matrices, ScalarOrSchedule, Schedule, at, leaf_by_leaf
from .decay import RISING, Mask
from .decay import add_decayed_weights as decayed
from .scaling import DECAYING
from .scaling import scale_by_learning_rate as scaled


@leaf_by_leaf(
    reach="elementwise",
    cases={
        "defaults": {},
        "betas": {"b1": 0.7, "b2": 0.5},
        "eps": {"b2": 0.5, "eps": 0.3},
        "schedules": {
            "b1": Schedule.of("linear_schedule", init_value=0.5, end_value=0.9, transition_steps=8),
            "b2": Schedule.of("linear_schedule", init_value=0.9, end_value=0.4, transition_steps=8),
            "eps": DECAYING,
        },
        "everything": {"b1": 0.8, "b2": 0.6, "eps": 0.1},
    },
)
def scale_by_adamax(
    p: Array,
    gs: Iterable[Array],
    *,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
) -> Iterator[Array]:
    m = np.zeros_like(p)
    v = np.zeros(p.shape)
    for k, g in enumerate(gs):
        m = at(b1, k) * m + (1 - at(b1, k)) * g
        v = np.maximum(at(b2, k) * v, abs(g) + at(eps, k))
        yield m / (1 - at(b1, k) ** (k + 1)) / v


@leaf_by_leaf(
    reach="elementwise",
    cases={
        **{name: {"learning_rate": 0.1, **case} for name, case in scale_by_adamax.cases.items()},
        "schedule_and_everything": {"learning_rate": DECAYING, **scale_by_adamax.cases["everything"]},
    },
)
def adamax(
    p: Array,
    gs: Iterable[Array],
    *,
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
) -> Iterator[Array]:
    return scaled.leaf(p, scale_by_adamax.leaf(p, gs, b1=b1, b2=b2, eps=eps), learning_rate=learning_rate)


@leaf_by_leaf(
    reach="elementwise",
    cases={
        **adamax.cases,
        "weight_decay": {"learning_rate": 0.1, "weight_decay": 0.3},
        "mask": {"learning_rate": 0.1, "weight_decay": 0.3, "mask": Matrices()},
        "decay_and_everything": {
            "learning_rate": DECAYING,
            **scale_by_adamax.cases["everything"],
            "weight_decay": RISING,
            "mask": Matrices(),
        },
    },
)
def adamaxw(
    p: Array,
    gs: Iterable[Array],
    *,
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: Mask = None,
) -> Iterator[Array]:
    us = scale_by_adamax.leaf(p, gs, b1=b1, b2=b2, eps=eps)
    us = decayed.leaf(p, us, weight_decay=weight_decay, mask=mask)
    return scaled.leaf(p, us, learning_rate=learning_rate)

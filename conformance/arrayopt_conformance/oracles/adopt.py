"""ADOPT. On the first step, k = 0,

    v ← |g|²,  u = 0

and from then on, normalising by the v of the step before, without bias correction,

    r = clip(g/max(√v, ε), −c(k), c(k))
    m ← β₁·m + (1 − β₁)·r
    v ← β₂·v + (1 − β₂)·|g|²

    scale_by_adopt    u = m, with nesterov u = β₁·m + (1 − β₁)·r
    adopt             u = −η(k)·(direction of scale_by_adopt); the first step moves nothing, but counts

A complex r is clipped in magnitude. Any of the three numbers may be a schedule.

S. Taniguchi et al. (2024), ADOPT: Modified Adam Can Converge with Any β₂ with the Optimal Rate,
arXiv:2411.02853.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from . import Array, Power, ScalarOrSchedule, at, leaf_by_leaf, stored
from .adam import SCHEDULES
from .scaling import DECAYING, scale_by_learning_rate


@leaf_by_leaf(
    reach="elementwise",
    cases={
        "defaults": {},
        "betas": {"b1": 0.7, "b2": 0.8},
        "memoryless": {"b1": 0.0, "b2": 0.0},
        "eps": {"b2": 0.8, "eps": 0.7},  # a floor under about half of the √v
        "nesterov": {"nesterov": True},
        "mu_dtype": {"mu_dtype": "float32"},
        "unclipped": {"use_clipping": False},
        "unclipped_eps": {"b2": 0.8, "eps": 0.7, "use_clipping": False},
        "clip_value_fn": {"clip_value_fn": Power(0.5)},
        "schedules": {name: SCHEDULES[name] for name in ("b1", "b2", "eps")},
        "everything": {
            "b1": 0.8,
            "b2": 0.9,
            "eps": 0.5,
            "mu_dtype": "float32",
            "nesterov": True,
            "clip_value_fn": Power(0.1),
        },
    },
)
def scale_by_adopt(
    p: Array,
    gs: Iterable[Array],
    *,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.9999,
    eps: ScalarOrSchedule = 1e-6,
    mu_dtype: str | None = None,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Callable[[int], float] = Power(0.25),  # noqa: B008 (immutable)
) -> Iterator[Array]:
    m = np.zeros_like(p)
    v: Array = np.zeros(p.shape)
    for k, g in enumerate(gs):
        if k == 0:
            v = abs(g) ** 2
            yield np.zeros_like(p)
            continue
        b1_k, b2_k = at(b1, k), at(b2, k)
        r = g / np.maximum(np.sqrt(v), at(eps, k))
        if use_clipping:
            c = clip_value_fn(k)
            r = np.where(abs(r) > c, c * np.sign(r), r)
        m = b1_k * m + (1 - b1_k) * r
        v = b2_k * v + (1 - b2_k) * abs(g) ** 2
        yield b1_k * m + (1 - b1_k) * r if nesterov else m
        m = stored(m, mu_dtype)


@leaf_by_leaf(
    reach="elementwise",
    cases={
        **{name: {"learning_rate": 0.1, **case} for name, case in scale_by_adopt.cases.items()},
        "schedule": {"learning_rate": DECAYING},
        "schedule_and_everything": {"learning_rate": DECAYING, **scale_by_adopt.cases["everything"]},
    },
)
def adopt(
    p: Array,
    gs: Iterable[Array],
    *,
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.9999,
    eps: ScalarOrSchedule = 1e-6,
    mu_dtype: str | None = None,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Callable[[int], float] = Power(0.25),  # noqa: B008 (immutable)
) -> Iterator[Array]:
    us = scale_by_adopt.leaf(
        p,
        gs,
        b1=b1,
        b2=b2,
        eps=eps,
        mu_dtype=mu_dtype,
        nesterov=nesterov,
        use_clipping=use_clipping,
        clip_value_fn=clip_value_fn,
    )
    return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)

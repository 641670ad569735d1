"""Means and sums of past gradients.

    ema      m ← d·m + (1 − d)·g,  u = m/(1 − dᵗ), or u = m without debias
    trace    m ← g + d·m,  u = m; with nesterov u = g + d·m

trace: B. T. Polyak (1964), Some methods of speeding up the convergence of iteration methods; and
I. Sutskever, J. Martens, G. Dahl, G. Hinton (2013), On the importance of initialization and momentum in
deep learning. Both without the learning rate, which comes after.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, leaf_by_leaf, stored


@leaf_by_leaf(
    reach="elementwise",
    cases={
        "defaults": {"decay": 0.9},
        "biased": {"decay": 0.9, "debias": False},
        "short": {"decay": 0.5},
        "none": {"decay": 0.0},
        "accumulator_dtype": {"decay": 0.9, "accumulator_dtype": "float32"},
    },
)
def ema(
    p: Array, gs: Iterable[Array], *, decay: float, debias: bool = True, accumulator_dtype: str | None = None
) -> Iterator[Array]:
    m = np.zeros_like(p)
    for t, g in enumerate(gs, 1):
        m = decay * m + (1 - decay) * g
        yield m / (1 - decay**t) if debias else m
        m = stored(m, accumulator_dtype)


@leaf_by_leaf(
    reach="elementwise",
    cases={
        "defaults": {"decay": 0.9},
        "nesterov": {"decay": 0.9, "nesterov": True},
        "none": {"decay": 0.0},
        "accumulator_dtype": {"decay": 0.9, "accumulator_dtype": "float32"},
        "everything": {"decay": 0.7, "nesterov": True, "accumulator_dtype": "float32"},
    },
)
def trace(
    p: Array,
    gs: Iterable[Array],
    *,
    decay: float,
    nesterov: bool = False,
    accumulator_dtype: str | None = None,
) -> Iterator[Array]:
    m = np.zeros_like(p)
    for g in gs:
        m = g + decay * m
        yield g + decay * m if nesterov else m
        m = stored(m, accumulator_dtype)

"""m ← d·m + (1 − d)·g, u = m/(1 − dᵗ), or u = m without debias"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, Cases, leaf_by_leaf, stored


@leaf_by_leaf
def oracle(
    p: Array, gs: Iterable[Array], *, decay: float, debias: bool = True, accumulator_dtype: str | None = None
) -> Iterator[Array]:
    m = np.zeros_like(p)
    for t, g in enumerate(gs, 1):
        m = decay * m + (1 - decay) * g
        yield m / (1 - decay**t) if debias else m
        m = stored(m, accumulator_dtype)


REACH = "elementwise"
CASES: Cases = {
    "defaults": {"decay": 0.9},
    "biased": {"decay": 0.9, "debias": False},
    "short": {"decay": 0.5},
    "none": {"decay": 0.0},
    "accumulator_dtype": {"decay": 0.9, "accumulator_dtype": "float32"},
}

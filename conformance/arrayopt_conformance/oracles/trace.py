"""m ← g + d·m, u = m; with nesterov u = g + d·m

B. T. Polyak (1964), Some methods of speeding up the convergence of iteration methods; and
I. Sutskever, J. Martens, G. Dahl, G. Hinton (2013), On the importance of initialization and momentum in
deep learning. Both without the learning rate, which comes after.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, Cases, leaf_by_leaf, stored


@leaf_by_leaf
def oracle(
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


REACH = "elementwise"
CASES: Cases = {
    "defaults": {"decay": 0.9},
    "nesterov": {"decay": 0.9, "nesterov": True},
    "none": {"decay": 0.0},
    "accumulator_dtype": {"decay": 0.9, "accumulator_dtype": "float32"},
    "everything": {"decay": 0.7, "nesterov": True, "accumulator_dtype": "float32"},
}

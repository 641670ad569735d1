"""u = g where |g| ≤ c, else g·c/|g|: of real numbers, g brought into [−c, c]"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, Cases, leaf_by_leaf


@leaf_by_leaf
def oracle(p: Array, gs: Iterable[Array], *, max_delta: float) -> Iterator[Array]:
    for g in gs:
        size = np.maximum(abs(g), 1e-300)
        yield g * np.minimum(1.0, max_delta / size)


REACH = "elementwise"
CASES: Cases = {
    "some": {"max_delta": 0.7},
    "none": {"max_delta": 100.0},
    "all": {"max_delta": 0.0},
}

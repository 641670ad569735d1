"""u = g, but 0 where g is not a number"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, Cases, leaf_by_leaf


@leaf_by_leaf
def oracle(p: Array, gs: Iterable[Array]) -> Iterator[Array]:
    for g in gs:
        yield np.where(np.isnan(g), 0, g)


MEETS_NAN = True
REACH = "elementwise"
CASES: Cases = {"defaults": {}}

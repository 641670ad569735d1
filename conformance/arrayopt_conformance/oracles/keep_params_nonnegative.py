"""u = g where p + g ≥ 0, else −p; of complex numbers, where the real part of p + g is ≥ 0"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, Cases, leaf_by_leaf


@leaf_by_leaf
def oracle(p: Array, gs: Iterable[Array]) -> Iterator[Array]:
    for g in gs:
        yield np.where(np.real(p + g) >= 0, g, -p)


EXEMPT = {
    "edges.zero_gradients_move_nothing": "a parameter below 0 is moved to 0",
    "complexes.a_turn_turns_updates_and_leaves_squares": "the real part of a number is not that of it times i",
}
REACH = "elementwise"
CASES: Cases = {"defaults": {}}

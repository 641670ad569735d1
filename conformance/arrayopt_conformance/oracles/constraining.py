"""Updates kept where they may be.

    keep_params_nonnegative    u = g where p + g ≥ 0, else −p
    zero_nans                  u = g, but 0 where g is not a number

Of complex numbers the real part of p + g must be ≥ 0.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, leaf_by_leaf


@leaf_by_leaf(
    reach="elementwise",
    cases={"defaults": {}},
    exempt={
        "edges.zero_gradients_move_nothing": "a parameter below 0 is moved to 0",
        "complexes.a_turn_turns_updates_and_leaves_squares": "the real part of a number is not that of it times i",
    },
)
def keep_params_nonnegative(p: Array, gs: Iterable[Array]) -> Iterator[Array]:
    for g in gs:
        yield np.where(np.real(p + g) >= 0, g, -p)


@leaf_by_leaf(reach="elementwise", cases={"defaults": {}}, meets_nan=True)
def zero_nans(p: Array, gs: Iterable[Array]) -> Iterator[Array]:
    for g in gs:
        yield np.where(np.isnan(g), 0, g)

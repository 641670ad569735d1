"""u = −η(k)·g; with momentum u = −η(k)·(g + d·m), see trace"""

from collections.abc import Iterable, Iterator

from . import Array, Cases, ScalarOrSchedule, leaf_by_leaf
from .scale_by_learning_rate import DECAYING
from .scale_by_learning_rate import oracle as scale_by_learning_rate
from .trace import oracle as trace


@leaf_by_leaf
def oracle(
    p: Array,
    gs: Iterable[Array],
    *,
    learning_rate: ScalarOrSchedule,
    momentum: float | None = None,
    nesterov: bool = False,
    accumulator_dtype: str | None = None,
) -> Iterator[Array]:
    us = iter(gs)
    if momentum is not None:
        us = trace.leaf(p, us, decay=momentum, nesterov=nesterov, accumulator_dtype=accumulator_dtype)
    return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)


REACH = "elementwise"
CASES: Cases = {
    "defaults": {"learning_rate": 0.1},
    "schedule": {"learning_rate": DECAYING},
    "momentum": {"learning_rate": 0.1, "momentum": 0.9},
    "no_momentum": {"learning_rate": 0.1, "momentum": 0.0},
    "nesterov": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    "nesterov_without_momentum": {"learning_rate": 0.1, "nesterov": True},
    "accumulator_dtype": {"learning_rate": 0.1, "momentum": 0.9, "accumulator_dtype": "float32"},
    "everything": {
        "learning_rate": DECAYING,
        "momentum": 0.7,
        "nesterov": True,
        "accumulator_dtype": "float32",
    },
}

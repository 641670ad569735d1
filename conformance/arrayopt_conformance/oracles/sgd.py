"""sgd: u = −η(k)·g; with momentum u = −η(k)·(g + d·m), see trace"""

from collections.abc import Iterable, Iterator

from . import Array, ScalarOrSchedule, leaf_by_leaf
from .accumulation import trace
from .scaling import DECAYING, scale_by_learning_rate


@leaf_by_leaf(
    reach="elementwise",
    cases={
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
    },
)
def sgd(
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

"""Adam: u = −η(k)·m̂/(√(v̂ + ε̄) + ε), see scale_by_adam

D. P. Kingma, J. Ba (2014), Adam: A Method for Stochastic Optimization, arXiv:1412.6980, algorithm 1.
"""

from collections.abc import Iterable, Iterator

from . import Array, Cases, ScalarOrSchedule, leaf_by_leaf
from .scale_by_adam import CASES as DIRECTIONS
from .scale_by_adam import oracle as scale_by_adam
from .scale_by_learning_rate import DECAYING
from .scale_by_learning_rate import oracle as scale_by_learning_rate


@leaf_by_leaf
def oracle(
    p: Array,
    gs: Iterable[Array],
    *,
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.999,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: str | None = None,
    nesterov: bool = False,
) -> Iterator[Array]:
    us = scale_by_adam.leaf(p, gs, b1=b1, b2=b2, eps=eps, eps_root=eps_root, mu_dtype=mu_dtype, nesterov=nesterov)
    return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)


REACH = "elementwise"
CASES: Cases = {
    **{name: {"learning_rate": 0.1, **case} for name, case in DIRECTIONS.items()},
    "schedule": {"learning_rate": DECAYING},
    "schedule_and_everything": {"learning_rate": DECAYING, **DIRECTIONS["everything"]},
}

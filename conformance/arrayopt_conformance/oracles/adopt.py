"""ADOPT: u = −η(k)·(direction of scale_by_adopt); the first step moves nothing, but counts

S. Taniguchi et al. (2024), ADOPT: Modified Adam Can Converge with Any β₂ with the Optimal Rate,
arXiv:2411.02853.
"""

from collections.abc import Callable, Iterable, Iterator

from . import Array, Cases, Power, ScalarOrSchedule, leaf_by_leaf
from .scale_by_adopt import CASES as DIRECTIONS
from .scale_by_adopt import oracle as scale_by_adopt
from .scale_by_learning_rate import DECAYING
from .scale_by_learning_rate import oracle as scale_by_learning_rate


@leaf_by_leaf
def oracle(
    p: Array,
    gs: Iterable[Array],
    *,
    learning_rate: ScalarOrSchedule,
    b1: ScalarOrSchedule = 0.9,
    b2: ScalarOrSchedule = 0.9999,
    eps: ScalarOrSchedule = 1e-6,
    mu_dtype: str | None = None,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: Callable[[int], float] = Power(0.25),  # noqa: B008 (immutable)
) -> Iterator[Array]:
    us = scale_by_adopt.leaf(
        p,
        gs,
        b1=b1,
        b2=b2,
        eps=eps,
        mu_dtype=mu_dtype,
        nesterov=nesterov,
        use_clipping=use_clipping,
        clip_value_fn=clip_value_fn,
    )
    return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)


REACH = "elementwise"
CASES: Cases = {
    **{name: {"learning_rate": 0.1, **case} for name, case in DIRECTIONS.items()},
    "schedule": {"learning_rate": DECAYING},
    "schedule_and_everything": {"learning_rate": DECAYING, **DIRECTIONS["everything"]},
}

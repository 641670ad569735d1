"""AdEMAMix: u = −η(k)·((m̂₁ + α(k)·m₂)/(√(v̂ + ε̄) + ε) + λ(k)·p), see scale_by_ademamix

M. Pagliardini, P. Ablin, D. Grangier (2024), The AdEMAMix Optimizer: Better, Faster, Older,
arXiv:2409.03137. By default α is 5 here, and 6 in scale_by_ademamix.
"""

from collections.abc import Iterable, Iterator

from . import Array, Cases, Matrices, ScalarOrSchedule, leaf_by_leaf
from .add_decayed_weights import RISING, Mask
from .add_decayed_weights import oracle as add_decayed_weights
from .scale_by_ademamix import CASES as DIRECTIONS
from .scale_by_ademamix import oracle as scale_by_ademamix
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
    b3: ScalarOrSchedule = 0.9999,
    alpha: ScalarOrSchedule = 5.0,
    eps: ScalarOrSchedule = 1e-8,
    eps_root: ScalarOrSchedule = 0.0,
    mu_dtype: str | None = None,
    weight_decay: ScalarOrSchedule = 0.0,
    mask: Mask = None,
) -> Iterator[Array]:
    us = scale_by_ademamix.leaf(
        p, gs, b1=b1, b2=b2, b3=b3, alpha=alpha, eps=eps, eps_root=eps_root, mu_dtype=mu_dtype
    )
    us = add_decayed_weights.leaf(p, us, weight_decay=weight_decay, mask=mask)
    return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)


REACH = "elementwise"
CASES: Cases = {
    **{name: {"learning_rate": 0.1, **case} for name, case in DIRECTIONS.items()},
    "schedule": {"learning_rate": DECAYING},
    "default_alpha": {"learning_rate": 0.1, "b3": 0.9},
    "weight_decay": {"learning_rate": 0.1, "b3": 0.95, "weight_decay": 0.3},
    "weight_decay_schedule": {"learning_rate": DECAYING, "weight_decay": RISING},
    "mask": {"learning_rate": 0.1, "weight_decay": 0.3, "mask": Matrices()},
    "schedule_and_everything": {"learning_rate": DECAYING, **DIRECTIONS["everything"], "weight_decay": 0.3},
}

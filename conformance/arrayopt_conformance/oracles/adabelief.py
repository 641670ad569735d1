"""AdaBelief: u = −η(k)·(m̂/(√ŝ + ε) + λ(k)·p), see scale_by_belief; no decay unless it is asked for

J. Zhuang et al. (2020), AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients,
arXiv:2010.07468, algorithm 2.
"""

from collections.abc import Iterable, Iterator

from . import Array, Cases, Matrices, ScalarOrSchedule, leaf_by_leaf
from .add_decayed_weights import RISING, Mask
from .add_decayed_weights import oracle as add_decayed_weights
from .scale_by_belief import CASES as DIRECTIONS
from .scale_by_belief import oracle as scale_by_belief
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
    eps: ScalarOrSchedule = 1e-16,
    eps_root: ScalarOrSchedule = 1e-16,
    weight_decay: ScalarOrSchedule | None = None,
    weight_decay_mask: Mask = None,
    nesterov: bool = False,
) -> Iterator[Array]:
    us = scale_by_belief.leaf(p, gs, b1=b1, b2=b2, eps=eps, eps_root=eps_root, nesterov=nesterov)
    if weight_decay is not None:
        us = add_decayed_weights.leaf(p, us, weight_decay=weight_decay, mask=weight_decay_mask)
    return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)


REACH = "elementwise"
CASES: Cases = {
    **{name: {"learning_rate": 0.1, **case} for name, case in DIRECTIONS.items()},
    "schedule": {"learning_rate": DECAYING},
    "schedule_and_everything": {"learning_rate": DECAYING, **DIRECTIONS["everything"]},
    "weight_decay": {"learning_rate": 0.1, "weight_decay": 0.3},
    "weight_decay_schedule": {"learning_rate": DECAYING, "weight_decay": RISING},
    "mask": {"learning_rate": 0.1, "weight_decay": 0.3, "weight_decay_mask": Matrices()},
    "mask_without_decay": {"learning_rate": 0.1, "weight_decay_mask": Matrices()},
}

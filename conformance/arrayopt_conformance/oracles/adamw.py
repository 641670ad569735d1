"""Adam with decoupled weight decay: u = −η(k)·(m̂/(√(v̂ + ε̄) + ε) + λ(k)·p), see scale_by_adam

I. Loshchilov, F. Hutter (2017), Decoupled Weight Decay Regularization, arXiv:1711.05101, algorithm 2.
Here the decay is multiplied by the whole learning rate, not by the schedule's share of it only.
"""

from collections.abc import Iterable, Iterator

from . import Array, Cases, Matrices, ScalarOrSchedule, leaf_by_leaf
from .adam import CASES as UNDECAYED
from .add_decayed_weights import RISING, Mask
from .add_decayed_weights import oracle as add_decayed_weights
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
    weight_decay: ScalarOrSchedule = 1e-4,
    mask: Mask = None,
    nesterov: bool = False,
) -> Iterator[Array]:
    us = scale_by_adam.leaf(p, gs, b1=b1, b2=b2, eps=eps, eps_root=eps_root, mu_dtype=mu_dtype, nesterov=nesterov)
    us = add_decayed_weights.leaf(p, us, weight_decay=weight_decay, mask=mask)
    return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)


REACH = "elementwise"
CASES: Cases = {
    **UNDECAYED,
    "weight_decay": {"learning_rate": 0.1, "weight_decay": 0.3},
    "no_weight_decay": {"learning_rate": 0.1, "weight_decay": 0.0},
    "weight_decay_schedule": {"learning_rate": 0.1, "weight_decay": RISING},
    "two_schedules": {"learning_rate": DECAYING, "weight_decay": RISING},
    "mask": {"learning_rate": 0.1, "weight_decay": 0.3, "mask": Matrices()},
    "decay_and_everything": {
        "learning_rate": DECAYING,
        **UNDECAYED["everything"],
        "weight_decay": RISING,
        "mask": Matrices(),
    },
}

"""add_decayed_weights: u = g + λ(k)·p on the leaves the mask selects, u = g on the others

Decoupled weight decay: I. Loshchilov, F. Hutter (2017), Decoupled Weight Decay Regularization,
arXiv:1711.05101.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import Array, Matrices, ScalarOrSchedule, Schedule, at, leaf_by_leaf

Mask = bool | Callable[[Any], Any] | None  # of one leaf

RISING = Schedule.of("linear_schedule", init_value=0.02, end_value=0.5, transition_steps=8)


@leaf_by_leaf(
    reach="elementwise",
    cases={
        "defaults": {},
        "number": {"weight_decay": 0.1},
        "schedule": {"weight_decay": RISING},
        "mask": {"weight_decay": 0.1, "mask": Matrices()},
        "mask_and_schedule": {"weight_decay": RISING, "mask": Matrices()},
    },
)
def add_decayed_weights(
    p: Array, gs: Iterable[Array], *, weight_decay: ScalarOrSchedule = 0.0, mask: Mask = None
) -> Iterator[Array]:
    decays = mask is None or (mask(p) if callable(mask) else mask)
    for k, g in enumerate(gs):
        yield g + at(weight_decay, k) * p if decays else g

"""u = ∓η(k)·g: minus unless flip_sign is off; without a learning rate u = g, not even the sign changes"""

from collections.abc import Iterable, Iterator

from . import Array, Cases, ScalarOrSchedule, Schedule, at, leaf_by_leaf

# Faster than a step's noise, and different at every step: an index off by one is a factor of 0.89.
DECAYING = Schedule.of("exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.7)


@leaf_by_leaf
def oracle(
    p: Array, gs: Iterable[Array], *, learning_rate: ScalarOrSchedule | None = None, flip_sign: bool = True
) -> Iterator[Array]:
    for k, g in enumerate(gs):
        if learning_rate is None:
            yield g
        else:
            eta = at(learning_rate, k)
            yield -eta * g if flip_sign else eta * g


REACH = "elementwise"
CASES: Cases = {
    "defaults": {},
    "unflipped_defaults": {"flip_sign": False},
    "number": {"learning_rate": 0.1},
    "schedule": {"learning_rate": DECAYING},
    "unflipped_number": {"learning_rate": 0.1, "flip_sign": False},
    "unflipped_schedule": {"learning_rate": DECAYING, "flip_sign": False},
}

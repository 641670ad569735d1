"""Gradients times a number.

    scale                     u = s·g
    scale_by_schedule         u = s(k)·g, with s seeing k = 0 on the first step
    scale_by_learning_rate    u = ∓η(k)·g: minus unless flip_sign is off

Without a learning rate u = g, not even the sign changes.
"""

from collections.abc import Callable, Iterable, Iterator

from . import Array, ScalarOrSchedule, Schedule, at, leaf_by_leaf

# Faster than a step's noise, and different at every step: an index off by one is a factor of 0.89.
DECAYING = Schedule.of("exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.7)

_WARMUP_AND_COSINE = Schedule.of(
    "warmup_cosine_decay_schedule",
    init_value=0.1,
    peak_value=1.0,
    warmup_steps=4,
    decay_steps=10,
    end_value=0.2,
)


@leaf_by_leaf(
    reach="elementwise",
    cases={"shrink": {"step_size": 0.3}, "reverse": {"step_size": -2.0}, "zero": {"step_size": 0.0}},
)
def scale(p: Array, gs: Iterable[Array], *, step_size: float) -> Iterator[Array]:
    for g in gs:
        yield step_size * g


@leaf_by_leaf(
    reach="elementwise",
    cases={
        "warmup": {"step_size_fn": Schedule.of("linear_schedule", init_value=0.0, end_value=1.0, transition_steps=5)},
        "decay": {
            "step_size_fn": Schedule.of("exponential_decay", init_value=-0.5, transition_steps=3, decay_rate=0.7)
        },
        "warmup_and_cosine": {"step_size_fn": _WARMUP_AND_COSINE},
    },
)
def scale_by_schedule(p: Array, gs: Iterable[Array], *, step_size_fn: Callable[[int], float]) -> Iterator[Array]:
    for k, g in enumerate(gs):
        yield step_size_fn(k) * g


@leaf_by_leaf(
    reach="elementwise",
    cases={
        "defaults": {},
        "unflipped_defaults": {"flip_sign": False},
        "number": {"learning_rate": 0.1},
        "schedule": {"learning_rate": DECAYING},
        "unflipped_number": {"learning_rate": 0.1, "flip_sign": False},
        "unflipped_schedule": {"learning_rate": DECAYING, "flip_sign": False},
    },
)
def scale_by_learning_rate(
    p: Array, gs: Iterable[Array], *, learning_rate: ScalarOrSchedule | None = None, flip_sign: bool = True
) -> Iterator[Array]:
    for k, g in enumerate(gs):
        if learning_rate is None:
            yield g
        else:
            eta = at(learning_rate, k)
            yield -eta * g if flip_sign else eta * g

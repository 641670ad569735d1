"""u = s(k)·g, with s seeing k = 0 on the first step"""

from collections.abc import Callable, Iterable, Iterator

from . import Array, Cases, Schedule, leaf_by_leaf


@leaf_by_leaf
def oracle(p: Array, gs: Iterable[Array], *, step_size_fn: Callable[[int], float]) -> Iterator[Array]:
    for k, g in enumerate(gs):
        yield step_size_fn(k) * g


REACH = "elementwise"
CASES: Cases = {
    "warmup": {"step_size_fn": Schedule.of("linear_schedule", init_value=0.0, end_value=1.0, transition_steps=5)},
    "decay": {"step_size_fn": Schedule.of("exponential_decay", init_value=-0.5, transition_steps=3, decay_rate=0.7)},
    "warmup_and_cosine": {
        "step_size_fn": Schedule.of(
            "warmup_cosine_decay_schedule",
            init_value=0.1,
            peak_value=1.0,
            warmup_steps=4,
            decay_steps=10,
            end_value=0.2,
        )
    },
}

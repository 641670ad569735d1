"""count_per_parameter: u = f(g); with a gradient for each parameter in each step, all counters say the same"""

from collections.abc import Iterable, Iterator

from . import Inner, Leaves, Link, Matrices, all_leaves
from .decay import RISING
from .scaling import DECAYING


@all_leaves(
    reach="elementwise",
    cases={
        "adam": {"inner": Inner("adam", learning_rate=0.1, b1=0.8)},
        "none": {"inner": Inner("trace", decay=0.9)},
        "nested": {"inner": Inner("count_per_parameter", inner=Inner("ema", decay=0.9))},
        "everything": {
            "inner": Inner(
                "chain",
                transforms=[
                    Inner("clip_by_global_norm", max_norm=24.3),
                    Inner("masked", inner=Inner("scale_by_adam", b1=RISING), mask=Matrices()),
                    Inner("add_decayed_weights", weight_decay=RISING),
                    Inner("scale_by_learning_rate", learning_rate=DECAYING),
                ],
            )
        },
    },
)
def count_per_parameter(ps: Leaves, gradients: Iterable[Leaves], *, inner: Link) -> Iterator[Leaves]:
    return inner(ps, gradients)

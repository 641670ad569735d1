"""chain: u = fₙ(… f₂(f₁(g))), each of them with the same parameters"""

from collections.abc import Iterable, Iterator

from . import Inner, Leaves, Link, Matrices, all_leaves
from .decay import RISING
from .scaling import DECAYING

_DECAY = Inner("add_decayed_weights", weight_decay=0.3, mask=Matrices())
_MASKED_DECAY = Inner("masked", inner=_DECAY, mask=Matrices(3))


@all_leaves(
    reach="elementwise",
    cases={
        "links": {"transforms": [Inner("scale_by_adam", b1=0.8), _DECAY, Inner("scale", step_size=-0.1)]},
        "none": {"transforms": []},
        "one": {"transforms": [Inner("trace", decay=0.9)]},
        "order": {
            "transforms": [Inner("clip", max_delta=0.5), Inner("scale", step_size=3.0), Inner("trace", decay=0.5)]
        },
        "everything": {
            "transforms": [
                Inner("clip_by_global_norm", max_norm=24.3),
                Inner("chain", transforms=[Inner("trace", decay=0.9), _MASKED_DECAY]),
                Inner("add_decayed_weights", weight_decay=RISING),
                Inner("scale_by_learning_rate", learning_rate=DECAYING),
            ]
        },
    },
)
def chain(ps: Leaves, gradients: Iterable[Leaves], *, transforms: list[Link]) -> Iterator[Leaves]:
    us = iter(gradients)
    for link in transforms:
        us = link(ps, us)
    return us

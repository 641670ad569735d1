"""masked: u = f(g) of the leaves that the mask selects, as if there were no others; u = g on those"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import Inner, Leaves, Link, Matrices, Today, all_leaves
from .scaling import DECAYING


@all_leaves(
    reach="elementwise",
    cases={
        "matrices": {"inner": Inner("adamw", learning_rate=0.1, b1=0.8), "mask": Matrices()},
        "none": {"inner": Inner("scale_by_adam"), "mask": False},
        "all": {"inner": Inner("trace", decay=0.9), "mask": True},
        "nested": {"inner": Inner("masked", inner=Inner("trace", decay=0.9), mask=Matrices(3)), "mask": Matrices()},
        "everything": {
            "inner": Inner(
                "chain",
                transforms=[
                    Inner("clip_by_global_norm", max_norm=15.0),
                    Inner("masked", inner=Inner("scale_by_learning_rate", learning_rate=DECAYING), mask=Matrices(3)),
                    Inner("trace", decay=0.9),
                ],
            ),
            "mask": Matrices(),
            "mask_compatible_extra_args": True,
        },
    },
)
def masked(
    ps: Leaves,
    gradients: Iterable[Leaves],
    *,
    inner: Link,
    mask: bool | Callable[[Any], Any],
    mask_compatible_extra_args: bool = False,
) -> Iterator[Leaves]:
    del mask_compatible_extra_args  # there are none
    flags = mask(ps) if callable(mask) else [mask] * len(ps)
    today, chosen = Today(), [i for i, flag in enumerate(flags) if flag]
    found = inner([ps[i] for i in chosen], today.among(chosen))
    for gs in gradients:
        today[:] = us = list(gs)
        for i, u in zip(chosen, next(found), strict=True):
            us[i] = u
        yield us

"""Gradients made smaller where they are too large.

    clip                   u = g where |g| ≤ c, else g·c/|g|: of real numbers, g brought into [−c, c]
    clip_by_block_rms      u = g/max(1, rms(g)/d), leaf by leaf
    clip_by_global_norm    u = g if ‖g‖ ≤ c, else g·c/‖g‖, with ‖g‖ the Euclidean norm of all leaves together

clip_by_block_rms: N. Shazeer, M. Stern (2018), Adafactor: Adaptive Learning Rates with Sublinear Memory Cost,
arXiv:1804.04235: update clipping.
clip_by_global_norm: R. Pascanu, T. Mikolov, Y. Bengio (2012), On the difficulty of training recurrent neural
networks, arXiv:1211.5063, algorithm 1.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from . import Array, Leaves, all_leaves, leaf_by_leaf, rms


@leaf_by_leaf(
    reach="elementwise",
    cases={"some": {"max_delta": 0.7}, "none": {"max_delta": 100.0}, "all": {"max_delta": 0.0}},
)
def clip(p: Array, gs: Iterable[Array], *, max_delta: float) -> Iterator[Array]:
    for g in gs:
        size = np.maximum(abs(g), 1e-300)
        yield g * np.minimum(1.0, max_delta / size)


@leaf_by_leaf(
    reach="leafwise",
    cases={
        "always": {"threshold": 0.01},
        "sometimes": {"threshold": 1.0},  # the root mean square of the gradients is 1, give or take
        "never": {"threshold": 100.0},
    },
)
def clip_by_block_rms(p: Array, gs: Iterable[Array], *, threshold: float) -> Iterator[Array]:
    for g in gs:
        yield g / max(1.0, rms(g) / threshold)


@all_leaves(
    reach="treewise",
    cases={
        "always": {"max_norm": 0.5},
        "sometimes": {"max_norm": 24.3},  # about √n for the n elements of SHAPES
        "never": {"max_norm": 1e6},
        "zero": {"max_norm": 0.0},
    },
)
def clip_by_global_norm(ps: Leaves, gradients: Iterable[Leaves], *, max_norm: float) -> Iterator[Leaves]:
    for gs in gradients:
        norm = math.sqrt(sum(float(np.sum(abs(g) ** 2)) for g in gs))
        # The comparison comes first: no 0/0 for zero gradients, whatever the bound.
        yield gs if norm <= max_norm else [g * (max_norm / norm) for g in gs]

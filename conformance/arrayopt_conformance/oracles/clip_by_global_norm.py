"""u = g if ‖g‖ ≤ c, else g·c/‖g‖, with ‖g‖ the Euclidean norm of all leaves together

R. Pascanu, T. Mikolov, Y. Bengio (2012), On the difficulty of training recurrent neural networks,
arXiv:1211.5063, algorithm 1.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from . import Cases, Leaves, all_leaves


@all_leaves
def oracle(ps: Leaves, gradients: Iterable[Leaves], *, max_norm: float) -> Iterator[Leaves]:
    for gs in gradients:
        norm = math.sqrt(sum(float(np.sum(abs(g) ** 2)) for g in gs))
        # The comparison comes first: no 0/0 for zero gradients, whatever the bound.
        yield gs if norm <= max_norm else [g * (max_norm / norm) for g in gs]


REACH = "treewise"
CASES: Cases = {
    "always": {"max_norm": 0.5},
    "sometimes": {"max_norm": 24.3},  # about √n for the n elements of SHAPES
    "never": {"max_norm": 1e6},
    "zero": {"max_norm": 0.0},
}

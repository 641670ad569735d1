"""Cases of losses of sequences and of sparse chances, and of norms that are safe at 0."""

import math

import numpy as np

from arrayopt_conformance.functions import Case, at_least_single, case
from arrayopt_conformance.functions.data import chances, normal, one_hot, whole

FRAMES = np.asarray([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]], dtype="f8")
LABELS = np.asarray([[1, 2], [2, 2], [1, 0], [1, 1]], dtype=np.int32)
PADDED = np.asarray([[0, 0], [0, 0], [0, 1], [1, 1]], dtype="f8")
SEQUENCES = (normal(4, 4, 3), FRAMES, LABELS, PADDED)
LAST_IS_BLANK = (
    normal(4, 4, 3, seed=1),
    FRAMES,
    np.asarray([[0, 1], [0, 0], [1, 7], [0, 2]], dtype=np.int32),
    PADDED,
)

CTC: list[Case] = [
    case("losses.ctc_loss", *SEQUENCES).but(rows=False, dtype=at_least_single),  # `vmap` would take the batch away
    case("losses.ctc_loss", *LAST_IS_BLANK, blank_id=2).but(dtype=at_least_single),
    case("losses.ctc_loss", normal(4, 1, 3), FRAMES[:, :1], LABELS, PADDED, log_epsilon=-300.0).but(
        dtype=at_least_single
    ),
    case("losses.ctc_loss_with_forward_probs", *SEQUENCES).but(
        rows=False, by=(), smooth=False, dtype=at_least_single
    ),
    case("losses.ctc_loss_with_forward_probs", *LAST_IS_BLANK, blank_id=2, log_epsilon=-200.0).but(
        rows=False, dtype=at_least_single
    ),
]

SPARSE: list[Case] = [
    case("losses.sparsemax_loss", normal(4, 3, scale=2.0), whole(4, 3, high=2)),
    case("losses.sparsemax_loss", normal(4, 3, scale=2.0), whole(4, 3, high=2) == 1),
    case("losses.multiclass_sparsemax_loss", normal(4, 5), whole(4, high=5)).but(dtype=at_least_single),
    case("losses.multiclass_sparsemax_loss", normal(4, 5, scale=10.0), whole(4, high=5, seed=1)).but(
        dtype=at_least_single
    ),
    case("losses.multiclass_sparsemax_loss", normal(4, 2, 5), whole(4, 2, high=5)).but(
        peer=False, dtype=at_least_single
    ),
]

SAFE: list[Case] = [
    case("losses.safe_softmax_cross_entropy", normal(4, 5, scale=3.0), chances(4, 5)).but(by=(0, 1)),
    case("losses.safe_softmax_cross_entropy", normal(4, 5), one_hot(4, 5)).but(by=(0, 1)),
    case("losses.safe_softmax_cross_entropy", normal(4, 5), one_hot(4, 5).astype(np.int32)).but(peer=False),
    case("losses.safe_softmax_cross_entropy", normal(4, 3, 5), chances(4, 1, 5)),
    case("safe_norm", normal(4, 3), 1.5, axis=-1, keepdims=True),
    case("safe_norm", normal(4, 3), 0.1, axis=-1),
    case("safe_norm", normal(4, 3), 0.1).but(rows=False),
    case("safe_norm", normal(4, 3, 2), 0.1, axis=(1, 2)),
    case("safe_norm", normal(4, 3, 2), normal(4, 1, 1), axis=(1, 2), keepdims=True).but(by=(0, 1)),
    *[case("safe_norm", normal(4, 3), 0.1, ord=p, axis=1) for p in (1, 2, 3, -1.5, 0, math.inf, -math.inf)],
    *[
        case("safe_norm", normal(4, 3, 2), 0.1, ord=p, axis=(1, 2))
        for p in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)
    ],
    case("safe_norm", normal(3, 4, 2), 0.1, ord=1, axis=(2, 0)).but(rows=False),
    case("safe_norm", normal(3, 4, 2), 0.1, ord=-2, axis=(2, 0), keepdims=True).but(rows=False),
    case("safe_norm", normal(4, 3), 0.1, ord="nuc").but(rows=False),
    case("safe_root_mean_squares", normal(4, 3), 0.1).but(rows=False),
    case("safe_root_mean_squares", normal(4, 3), 3.0).but(rows=False),
    case("scale_gradient", normal(4, 3), 0.3).but(smooth=False),
    case("scale_gradient", normal(4, 3), -1.5).but(smooth=False),
]

CASES: list[Case] = [*CTC, *SPARSE, *SAFE]

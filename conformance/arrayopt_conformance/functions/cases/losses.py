"""Cases of the losses."""

from arrayopt_conformance.functions import Case, case
from arrayopt_conformance.functions.data import mask, normal

CASES: list[Case] = [
    case("losses.squared_error", normal(4, 3), normal(4, 3, seed=1)),
    case("losses.squared_error", normal(4, 3)),
    case("losses.l2_loss", normal(4, 3), normal(4, 3, seed=1)),
    case("losses.l2_loss", normal(4, 3)),
    case("losses.huber_loss", normal(4, 3, scale=2.0), normal(4, 3, seed=1), delta=0.7),
    case("losses.huber_loss", normal(4, 3)),
    case("losses.log_cosh", normal(4, 3, scale=3.0), normal(4, 3, seed=1)),
    case("losses.log_cosh", normal(4, 3)),
    case("losses.cosine_similarity", normal(4, 3), normal(4, 3, seed=1)).but(by=(0, 1)),
    case("losses.cosine_similarity", normal(4, 3), normal(4, 3, seed=1), epsilon=1.5),
    case("losses.cosine_similarity", normal(4, 3, 5), normal(4, 3, 5, seed=1), axis=(1, 2)),
    case("losses.cosine_similarity", normal(4, 3), normal(4, 3, seed=1), axis=None).but(rows=False),
    case("losses.cosine_distance", normal(4, 3), normal(4, 3, seed=1), where=mask(4, 3)).but(by=(0, 1)),
    case("losses.cosine_distance", normal(4, 3), normal(4, 3, seed=1), epsilon=1.5, axis=0).but(rows=False),
]

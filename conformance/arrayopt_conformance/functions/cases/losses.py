"""Cases of the losses."""

from arrayopt_conformance.functions import Case, at_least_single, case
from arrayopt_conformance.functions.data import (
    chances,
    eighths,
    log_chances,
    mask,
    normal,
    one_hot,
    signs,
    uniform,
    whole,
)

REGRESSION: list[Case] = [
    case("losses.squared_error", normal(4, 3), normal(4, 3, seed=1)).but(by=(0, 1)),
    case("losses.squared_error", normal(4, 3)),
    case("losses.l2_loss", normal(4, 3), normal(4, 3, seed=1)).but(by=(0, 1)),
    case("losses.l2_loss", normal(4, 3)),
    case("losses.huber_loss", normal(4, 3, scale=2.0), normal(4, 3, seed=1), delta=0.7).but(by=(0, 1)),
    case("losses.huber_loss", normal(4, 3), normal(4, 1)),
    case("losses.huber_loss", normal(4, 3)),
    case("losses.log_cosh", normal(4, 3, scale=3.0), normal(4, 3, seed=1)).but(by=(0, 1)),
    case("losses.log_cosh", normal(4, 3)),
    case("losses.cosine_similarity", normal(4, 3), normal(4, 3, seed=1)).but(by=(0, 1)),
    case("losses.cosine_similarity", normal(4, 3), normal(4, 3, seed=1), epsilon=1.5),
    case("losses.cosine_similarity", normal(4, 3, 5), normal(4, 3, 5, seed=1), axis=(1, 2)),
    case("losses.cosine_similarity", normal(4, 3), normal(4, 3, seed=1), axis=None).but(rows=False),
    case("losses.cosine_distance", normal(4, 3), normal(4, 3, seed=1), where=mask(4, 3)).but(by=(0, 1)),
    case("losses.cosine_distance", normal(4, 3), normal(4, 3, seed=1), epsilon=1.5, axis=0).but(rows=False),
]

CLASSIFICATION: list[Case] = [
    case("losses.softmax_cross_entropy", normal(4, 5, scale=3.0), chances(4, 5)).but(by=(0, 1)),
    case("losses.softmax_cross_entropy", normal(4, 5), one_hot(4, 5), where=mask(4, 5)),
    case("losses.softmax_cross_entropy", normal(4, 5), one_hot(4, 5), where=mask(4, seed=1)),
    case("losses.softmax_cross_entropy", normal(4, 3, 2), chances(4, 3, 2), axis=1),
    case("losses.softmax_cross_entropy", normal(4, 3, 2), chances(4, 3, 2), axis=(1, 2)),
    case("losses.softmax_cross_entropy", normal(4, 3), chances(4, 3), axis=None).but(rows=False),
    case("losses.softmax_cross_entropy", normal(4, 5), whole(4, 5, high=2)),
    case("losses.softmax_cross_entropy_with_integer_labels", normal(4, 5, scale=3.0), whole(4, high=5)),
    case("losses.softmax_cross_entropy_with_integer_labels", normal(4, 5), whole(4, high=1), where=mask(4, 5)),
    case("losses.softmax_cross_entropy_with_integer_labels", normal(4, 5), whole(4, high=5), where=mask(4, seed=1)),
    case("losses.softmax_cross_entropy_with_integer_labels", normal(4, 5, 2), whole(4, 2, high=5), axis=1),
    case("losses.softmax_cross_entropy_with_integer_labels", normal(4, 3, 2), whole(4, high=6), axis=(2, 1)),
    case("losses.softmax_cross_entropy_with_integer_labels", normal(4, 5), whole(4, high=5) - 5),
    case("losses.poly_loss_cross_entropy", normal(4, 5, scale=3.0), chances(4, 5)).but(by=(0, 1)),
    case("losses.poly_loss_cross_entropy", normal(4, 5), one_hot(4, 5), epsilon=-0.7, where=mask(4, 5)),
    case("losses.poly_loss_cross_entropy", normal(4, 3, 2), chances(4, 3, 2), epsilon=1.5, axis=(1, 2)),
    case("losses.sigmoid_binary_cross_entropy", normal(4, 5, scale=3.0), uniform(4, 5)).but(by=(0, 1)),
    case("losses.sigmoid_binary_cross_entropy", normal(4, 5), whole(4, 5, high=2)),
    case("losses.sigmoid_focal_loss", normal(4, 5, scale=3.0), uniform(4, 5)),
    case("losses.sigmoid_focal_loss", normal(4, 5), whole(4, 5, high=2), alpha=0.3, gamma=0.7),
    case("losses.sigmoid_focal_loss", normal(4, 5), one_hot(4, 5), gamma=0.0),
]

MARGINS: list[Case] = [
    case("losses.hinge_loss", normal(4, 3), signs(4, 3)).but(by=(0, 1)),
    case("losses.perceptron_loss", normal(4, 3), signs(4, 3)).but(by=(0, 1)),
    case("losses.multiclass_hinge_loss", normal(4, 5), whole(4, high=5)).but(dtype=at_least_single),
    case("losses.multiclass_perceptron_loss", normal(4, 5), whole(4, high=5)).but(dtype=at_least_single),
]

DIVERGENCES: list[Case] = [
    case("losses.kl_divergence", log_chances(4, 5), chances(4, 5, seed=1)).but(by=(0, 1)),
    case("losses.kl_divergence", log_chances(4, 5), chances(4, 5, seed=1, zeros=True)),
    case("losses.kl_divergence", log_chances(4, 5), chances(4, 5, seed=1), where=mask(4, 5)).but(by=(0, 1)),
    case("losses.kl_divergence", log_chances(4, 5), chances(4, 5, seed=1), axis=None).but(rows=False),
    case("losses.generalized_kl_divergence", log_chances(4, 5), chances(4, 5, seed=1)).but(by=(0, 1)),
    case("losses.generalized_kl_divergence", log_chances(4, 5), chances(4, 5, seed=1, zeros=True)),
    case("losses.generalized_kl_divergence", log_chances(4, 5), chances(4, 5, seed=1), where=mask(4, 5)),
    case("losses.kl_divergence_with_log_targets", log_chances(4, 5), log_chances(4, 5, seed=1)).but(by=(0, 1)),
    case("losses.kl_divergence_with_log_targets", log_chances(4, 5), log_chances(4, 5, seed=1), where=mask(4, 5)),
    case("losses.kl_divergence_with_log_targets", log_chances(4, 3, 2), log_chances(4, 3, 2, seed=1), axis=(1, 2)),
]

RANKING: list[Case] = [
    case("losses.ranking_softmax_loss", normal(4, 5), uniform(4, 5), reduce_fn=None),
    case("losses.ranking_softmax_loss", normal(4, 5), uniform(4, 5)).but(rows=False),
    case("losses.ranking_softmax_loss", normal(4, 5), whole(4, 5, high=3), weights=uniform(4, 5), reduce_fn=None),
    case("losses.ranking_softmax_loss", normal(4, 5), uniform(4, 5), where=mask(4, 5)).but(rows=False),
]

SEGMENTATION: list[Case] = [
    case("losses.dice_loss", normal(4, 3, 2, 3), one_hot(4, 3, 2, 3)),
    case("losses.dice_loss", normal(4, 6, 1), whole(4, 6, 1, high=2)),
    case("losses.dice_loss", normal(4, 6, 3), one_hot(4, 6, 3), alpha=0.3, beta=0.8, smooth=0.1, reduction="sum"),
    case("losses.dice_loss", normal(4, 6, 3), one_hot(4, 6, 3), class_weights=uniform(3), reduction="none").but(
        rows=(0, 1)
    ),
    case("losses.dice_loss", normal(4, 6, 3), one_hot(4, 6, 3), ignore_background=True),
    case("losses.dice_loss", eighths(4, 6, 3), one_hot(4, 6, 3), apply_softmax=False).but(eager=True),
    case("losses.dice_loss", normal(4, 2, 3), one_hot(4, 2, 3), axis=(0, 1)).but(rows=False),
    case("losses.multiclass_generalized_dice_loss", normal(4, 6, 3), one_hot(4, 6, 3)).but(rows=False),
    case("losses.multiclass_generalized_dice_loss", normal(4, 6, 3), one_hot(4, 6, 3), smooth=0.3).but(rows=False),
    case("losses.multiclass_generalized_dice_loss", normal(4, 6, 3), one_hot(4, 6, 3), ignore_background=True).but(
        rows=False
    ),
    case("losses.binary_dice_loss", normal(4, 3, 2), whole(4, 3, 2, high=2)),
    case("losses.binary_dice_loss", normal(4, 6, 1), whole(4, 6, 1, high=2), smooth=0.2),
]

SELF_SUPERVISED: list[Case] = [
    case("losses.ntxent", normal(6, 3), whole(6, high=2)).but(rows=False),
    case("losses.ntxent", normal(6, 3), whole(6, high=3, seed=2), temperature=0.5).but(rows=False),
    case("losses.triplet_margin_loss", normal(4, 3), normal(4, 3, seed=1), normal(4, 3, seed=2)).but(by=(0, 1, 2)),
    case("losses.triplet_margin_loss", *[normal(4, 3, seed=k) for k in range(3)], norm_degree=4, margin=0.3, eps=0.1),
    case("losses.triplet_margin_loss", *[normal(4, 3, seed=k) for k in range(3)], axis=0).but(rows=False),
]

SMOOTHING: list[Case] = [
    case("losses.smooth_labels", one_hot(4, 5), 0.1),
    case("losses.smooth_labels", one_hot(4, 5), 0.3, axis=None).but(rows=False),
    case("losses.smooth_labels", one_hot(4, 5), 0.1, where=mask(4, 5)).but(masks=False),
]

CASES: list[Case] = [
    *REGRESSION,
    *CLASSIFICATION,
    *MARGINS,
    *DIVERGENCES,
    *RANKING,
    *SEGMENTATION,
    *SELF_SUPERVISED,
    *SMOOTHING,
]

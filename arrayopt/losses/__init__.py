"""Losses: functions of predictions and targets of any library, each Optax's in name, arguments, defaults and meaning.

They are computed in at least float32 and rounded once.
"""

from arrayopt.losses.classification import poly_loss_cross_entropy as poly_loss_cross_entropy
from arrayopt.losses.classification import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
from arrayopt.losses.classification import sigmoid_focal_loss as sigmoid_focal_loss
from arrayopt.losses.classification import softmax_cross_entropy as softmax_cross_entropy
from arrayopt.losses.classification import (
    softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
)
from arrayopt.losses.ctc import ctc_loss as ctc_loss
from arrayopt.losses.ctc import ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from arrayopt.losses.divergences import convex_kl_divergence as convex_kl_divergence
from arrayopt.losses.divergences import generalized_kl_divergence as generalized_kl_divergence
from arrayopt.losses.divergences import kl_divergence as kl_divergence
from arrayopt.losses.divergences import kl_divergence_with_log_targets as kl_divergence_with_log_targets
from arrayopt.losses.fenchel_young import make_fenchel_young_loss as make_fenchel_young_loss
from arrayopt.losses.gradients import value_and_grad as value_and_grad
from arrayopt.losses.margins import hinge_loss as hinge_loss
from arrayopt.losses.margins import multiclass_hinge_loss as multiclass_hinge_loss
from arrayopt.losses.margins import multiclass_perceptron_loss as multiclass_perceptron_loss
from arrayopt.losses.margins import perceptron_loss as perceptron_loss
from arrayopt.losses.ranking import ranking_softmax_loss as ranking_softmax_loss
from arrayopt.losses.regression import cosine_distance as cosine_distance
from arrayopt.losses.regression import cosine_similarity as cosine_similarity
from arrayopt.losses.regression import huber_loss as huber_loss
from arrayopt.losses.regression import l2_loss as l2_loss
from arrayopt.losses.regression import log_cosh as log_cosh
from arrayopt.losses.regression import squared_error as squared_error
from arrayopt.losses.safe_softmax import safe_softmax_cross_entropy as safe_softmax_cross_entropy
from arrayopt.losses.segmentation import binary_dice_loss as binary_dice_loss
from arrayopt.losses.segmentation import dice_loss as dice_loss
from arrayopt.losses.segmentation import multiclass_generalized_dice_loss as multiclass_generalized_dice_loss
from arrayopt.losses.self_supervised import ntxent as ntxent
from arrayopt.losses.self_supervised import triplet_margin_loss as triplet_margin_loss
from arrayopt.losses.smoothing import smooth_labels as smooth_labels
from arrayopt.losses.sparsemax import multiclass_sparsemax_loss as multiclass_sparsemax_loss
from arrayopt.losses.sparsemax import sparsemax_loss as sparsemax_loss

"""Optimizers for any array library, each written once as the formula in its paper.

The names and their meaning are Optax's; the arrays may be of NumPy, CuPy, JAX, Torch, or any library that follows
the Python Array API standard.

Example:
  >>> import arrayopt, numpy as np
  >>> optimizer = arrayopt.adam(learning_rate=0.1)
  >>> params = {"w": np.asarray([1.0, -2.0])}
  >>> state = optimizer.init(params)
  >>> grads = {"w": 2 * params["w"]}
  >>> updates, state = optimizer.update(grads, state, params)
  >>> arrayopt.apply_updates(params, updates)
  {'w': array([ 0.9, -1.9])}
"""

from arrayopt import contrib as contrib
from arrayopt import dispatch as dispatch
from arrayopt import losses as losses
from arrayopt import projections as projections
from arrayopt import saved as saved
from arrayopt import schedules as schedules
from arrayopt import tree as tree
from arrayopt import tree_utils as tree_utils
from arrayopt.base import EmptyState as EmptyState
from arrayopt.base import GradientTransformation as GradientTransformation
from arrayopt.base import GradientTransformationExtraArgs as GradientTransformationExtraArgs
from arrayopt.base import TransformInitFn as TransformInitFn
from arrayopt.base import TransformUpdateFn as TransformUpdateFn
from arrayopt.base import apply_updates as apply_updates
from arrayopt.base import identity as identity
from arrayopt.base import init_empty_state as init_empty_state
from arrayopt.base import with_extra_args_support as with_extra_args_support
from arrayopt.deprecated import global_norm as global_norm
from arrayopt.derivatives import scale_gradient as scale_gradient
from arrayopt.fused import FusedStep as FusedStep
from arrayopt.fused import fused_step as fused_step
from arrayopt.losses import convex_kl_divergence as convex_kl_divergence
from arrayopt.losses import cosine_distance as cosine_distance
from arrayopt.losses import cosine_similarity as cosine_similarity
from arrayopt.losses import ctc_loss as ctc_loss
from arrayopt.losses import ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from arrayopt.losses import generalized_kl_divergence as generalized_kl_divergence
from arrayopt.losses import hinge_loss as hinge_loss
from arrayopt.losses import huber_loss as huber_loss
from arrayopt.losses import kl_divergence as kl_divergence
from arrayopt.losses import l2_loss as l2_loss
from arrayopt.losses import log_cosh as log_cosh
from arrayopt.losses import ntxent as ntxent
from arrayopt.losses import safe_softmax_cross_entropy as safe_softmax_cross_entropy
from arrayopt.losses import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
from arrayopt.losses import sigmoid_focal_loss as sigmoid_focal_loss
from arrayopt.losses import smooth_labels as smooth_labels
from arrayopt.losses import softmax_cross_entropy as softmax_cross_entropy
from arrayopt.losses import softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels
from arrayopt.losses import squared_error as squared_error
from arrayopt.numerics import safe_increment as safe_increment
from arrayopt.numerics import safe_int32_increment as safe_int32_increment
from arrayopt.optimizers.adabelief import ScaleByBeliefState as ScaleByBeliefState
from arrayopt.optimizers.adabelief import adabelief as adabelief
from arrayopt.optimizers.adabelief import scale_by_belief as scale_by_belief
from arrayopt.optimizers.adafactor import FactoredState as FactoredState
from arrayopt.optimizers.adafactor import adafactor as adafactor
from arrayopt.optimizers.adafactor import scale_by_factored_rms as scale_by_factored_rms
from arrayopt.optimizers.adafactor import scale_by_param_block_rms as scale_by_param_block_rms
from arrayopt.optimizers.adam import ScaleByAdamState as ScaleByAdamState
from arrayopt.optimizers.adam import adam as adam
from arrayopt.optimizers.adam import adamw as adamw
from arrayopt.optimizers.adam import scale_by_adam as scale_by_adam
from arrayopt.optimizers.adamax import adamax as adamax
from arrayopt.optimizers.adamax import adamaxw as adamaxw
from arrayopt.optimizers.adamax import scale_by_adamax as scale_by_adamax
from arrayopt.optimizers.sgd import sgd as sgd
from arrayopt.safe import safe_norm as safe_norm
from arrayopt.safe import safe_root_mean_squares as safe_root_mean_squares
from arrayopt.schedules import constant_schedule as constant_schedule
from arrayopt.schedules import cosine_decay_schedule as cosine_decay_schedule
from arrayopt.schedules import cosine_onecycle_schedule as cosine_onecycle_schedule
from arrayopt.schedules import exponential_decay as exponential_decay
from arrayopt.schedules import join_schedules as join_schedules
from arrayopt.schedules import linear_onecycle_schedule as linear_onecycle_schedule
from arrayopt.schedules import linear_schedule as linear_schedule
from arrayopt.schedules import piecewise_constant_schedule as piecewise_constant_schedule
from arrayopt.schedules import piecewise_interpolate_schedule as piecewise_interpolate_schedule
from arrayopt.schedules import polynomial_schedule as polynomial_schedule
from arrayopt.schedules import sgdr_schedule as sgdr_schedule
from arrayopt.schedules import warmup_constant_schedule as warmup_constant_schedule
from arrayopt.schedules import warmup_cosine_decay_schedule as warmup_cosine_decay_schedule
from arrayopt.schedules import warmup_exponential_decay_schedule as warmup_exponential_decay_schedule
from arrayopt.targets import incremental_update as incremental_update
from arrayopt.targets import periodic_update as periodic_update
from arrayopt.transforms.accumulation import EmaState as EmaState
from arrayopt.transforms.accumulation import TraceState as TraceState
from arrayopt.transforms.accumulation import ema as ema
from arrayopt.transforms.accumulation import trace as trace
from arrayopt.transforms.clipping import ClipState as ClipState
from arrayopt.transforms.clipping import clip as clip
from arrayopt.transforms.clipping import clip_by_block_rms as clip_by_block_rms
from arrayopt.transforms.clipping import clip_by_global_norm as clip_by_global_norm
from arrayopt.transforms.combining import chain as chain
from arrayopt.transforms.constraining import NonNegativeParamsState as NonNegativeParamsState
from arrayopt.transforms.constraining import ZeroNansState as ZeroNansState
from arrayopt.transforms.constraining import keep_params_nonnegative as keep_params_nonnegative
from arrayopt.transforms.constraining import zero_nans as zero_nans
from arrayopt.transforms.counting import count_per_parameter as count_per_parameter
from arrayopt.transforms.decay import WeightDecaySchedule as WeightDecaySchedule
from arrayopt.transforms.decay import add_decayed_weights as add_decayed_weights
from arrayopt.transforms.masking import MaskedNode as MaskedNode
from arrayopt.transforms.masking import MaskedState as MaskedState
from arrayopt.transforms.masking import masked as masked
from arrayopt.transforms.scaling import ScaleByScheduleState as ScaleByScheduleState
from arrayopt.transforms.scaling import scale as scale
from arrayopt.transforms.scaling import scale_by_learning_rate as scale_by_learning_rate
from arrayopt.transforms.scaling import scale_by_schedule as scale_by_schedule
from arrayopt.transforms.stateless import set_to_zero as set_to_zero
from arrayopt.transforms.stateless import stateless as stateless
from arrayopt.transforms.stateless import stateless_with_tree_map as stateless_with_tree_map
from arrayopt.tree.arithmetic import bias_correction as bias_correction
from arrayopt.tree.arithmetic import update_infinity_moment as update_infinity_moment
from arrayopt.tree.arithmetic import update_moment as update_moment
from arrayopt.tree.arithmetic import update_moment_per_elem_norm as update_moment_per_elem_norm
from arrayopt.tree_utils import tree_map_params as tree_map_params
from arrayopt.types import ArrayTree as ArrayTree
from arrayopt.types import MaskOrFn as MaskOrFn
from arrayopt.types import OptState as OptState
from arrayopt.types import Params as Params
from arrayopt.types import Scalar as Scalar
from arrayopt.types import ScalarOrSchedule as ScalarOrSchedule
from arrayopt.types import Schedule as Schedule
from arrayopt.types import Updates as Updates

saved.tell_torch("arrayopt", "arrayopt.contrib")
dispatch.prepare_for_torch_compile()

__version__ = "0.1.0"

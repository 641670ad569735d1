"""Adafactor, as a chain:

    u ← g/√V, factored                      scale_by_factored_rms
    u ← u/max(1, rms(u)/d)                  clip_by_block_rms, unless the threshold is None
    u ← η(k)·u                              nothing without a learning rate
    u ← u·max(rms(p), 10⁻³)                 scale_by_param_block_rms, if multiply_by_parameter_scale
    m ← β·m + (1 − β)·u,  u ← m             ema without debias, if momentum
    u ← u + λ(k)·p                          add_decayed_weights: neither η nor β touches the decay
    u ← −u

N. Shazeer, M. Stern (2018), Adafactor: Adaptive Learning Rates with Sublinear Memory Cost,
arXiv:1804.04235, algorithms 4 and 5. The paper's own η(k), min(10⁻², 1/√t), is left to the caller.
"""

from collections.abc import Iterable, Iterator

from . import Array, Cases, Matrices, ScalarOrSchedule, leaf_by_leaf
from .add_decayed_weights import RISING, Mask
from .add_decayed_weights import oracle as add_decayed_weights
from .clip_by_block_rms import oracle as clip_by_block_rms
from .ema import oracle as ema
from .scale import oracle as scale
from .scale_by_factored_rms import FADING
from .scale_by_factored_rms import oracle as scale_by_factored_rms
from .scale_by_learning_rate import DECAYING
from .scale_by_learning_rate import oracle as scale_by_learning_rate
from .scale_by_param_block_rms import oracle as scale_by_param_block_rms


@leaf_by_leaf
def oracle(
    p: Array,
    gs: Iterable[Array],
    *,
    learning_rate: ScalarOrSchedule | None = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: float = 0.8,
    decay_offset: int = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: float | None = 1.0,
    momentum: float | None = None,
    dtype_momentum: str = "float32",
    weight_decay_rate: ScalarOrSchedule | None = None,
    eps: ScalarOrSchedule = 1e-30,
    factored: bool = True,
    weight_decay_mask: Mask = None,
) -> Iterator[Array]:
    us = scale_by_factored_rms.leaf(
        p,
        gs,
        factored=factored,
        decay_rate=decay_rate,
        step_offset=decay_offset,
        min_dim_size_to_factor=min_dim_size_to_factor,
        epsilon=eps,
    )
    if clipping_threshold is not None:
        us = clip_by_block_rms.leaf(p, us, threshold=clipping_threshold)
    us = scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate, flip_sign=False)
    if multiply_by_parameter_scale:
        us = scale_by_param_block_rms.leaf(p, us, min_scale=1e-3)
    if momentum is not None:
        us = ema.leaf(p, us, decay=momentum, debias=False, accumulator_dtype=dtype_momentum)
    if weight_decay_rate is not None:
        us = add_decayed_weights.leaf(p, us, weight_decay=weight_decay_rate, mask=weight_decay_mask)
    return scale.leaf(p, us, step_size=-1.0)


_SMALL = {"min_dim_size_to_factor": 2}  # so that the leaves of SHAPES are factored
_MOMENTUM = {"momentum": 0.9, "dtype_momentum": "float64"}

REACH = "leafwise"
CASES: Cases = {
    "defaults": {},
    "factored": {**_SMALL},
    "unfactored": {**_SMALL, "factored": False},
    "some_factored": {"min_dim_size_to_factor": 5},
    "just_factored": {"min_dim_size_to_factor": 4},
    "learning_rate": {**_SMALL, "learning_rate": 0.05},
    "schedule": {**_SMALL, "learning_rate": DECAYING},
    "decay_rate": {**_SMALL, "decay_rate": 0.5},
    "decay_offset": {**_SMALL, "decay_offset": 3},
    "unfactored_decay_offset": {"decay_offset": 3},
    "absolute_scale": {**_SMALL, "learning_rate": 0.05, "multiply_by_parameter_scale": False},
    "clipping_threshold": {**_SMALL, "clipping_threshold": 0.3},
    "unclipped": {**_SMALL, "clipping_threshold": None},
    "momentum": {**_SMALL, "learning_rate": 0.05, **_MOMENTUM},
    "momentum_and_schedule": {**_SMALL, "learning_rate": DECAYING, **_MOMENTUM},
    "dtype_momentum": {**_SMALL, "momentum": 0.9, "dtype_momentum": "float32"},
    "weight_decay_rate": {**_SMALL, "learning_rate": 0.05, "weight_decay_rate": 0.1},
    "weight_decay_schedule": {**_SMALL, "learning_rate": DECAYING, "weight_decay_rate": RISING},
    "weight_decay_mask": {**_SMALL, "weight_decay_rate": 0.1, "weight_decay_mask": Matrices()},
    "mask_without_decay": {**_SMALL, "weight_decay_mask": Matrices()},
    "momentum_and_decay": {**_SMALL, "learning_rate": 0.05, **_MOMENTUM, "weight_decay_rate": 0.1},
    # Each step leaves a tenth of the parameters, which soon are below the floor of 10⁻³.
    "tiny_parameters": {**_SMALL, "learning_rate": 0.1, "weight_decay_rate": 1.0},
    "eps": {**_SMALL, "eps": 1e-3},
    "eps_schedule": {**_SMALL, "eps": FADING},
    "everything": {
        **_SMALL,
        "learning_rate": DECAYING,
        "decay_rate": 0.6,
        "decay_offset": 2,
        "eps": 1e-3,
        "clipping_threshold": 0.3,
        **_MOMENTUM,
        "weight_decay_rate": RISING,
        "weight_decay_mask": Matrices(),
    },
}

"""The functions of `arrayopt.tree` by their longer names: ``tree_utils.tree_add`` is ``tree.add``.

Those that Optax has given up are here too, with a `DeprecationWarning` that names what to use.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from arrayopt.deprecated import instead
from arrayopt.tree.arithmetic import add as tree_add
from arrayopt.tree.arithmetic import add_scale as tree_add_scale
from arrayopt.tree.arithmetic import allclose as tree_allclose
from arrayopt.tree.arithmetic import batch_shape as tree_batch_shape
from arrayopt.tree.arithmetic import bias_correction as tree_bias_correction
from arrayopt.tree.arithmetic import cast as tree_cast
from arrayopt.tree.arithmetic import cast_like as tree_cast_like
from arrayopt.tree.arithmetic import clip as tree_clip
from arrayopt.tree.arithmetic import conj as tree_conj
from arrayopt.tree.arithmetic import div as tree_div
from arrayopt.tree.arithmetic import dtype as tree_dtype
from arrayopt.tree.arithmetic import full_like as tree_full_like
from arrayopt.tree.arithmetic import max as tree_max
from arrayopt.tree.arithmetic import min as tree_min
from arrayopt.tree.arithmetic import mul as tree_mul
from arrayopt.tree.arithmetic import norm as tree_norm
from arrayopt.tree.arithmetic import ones_like as tree_ones_like
from arrayopt.tree.arithmetic import real as tree_real
from arrayopt.tree.arithmetic import scale as tree_scale
from arrayopt.tree.arithmetic import size as tree_size
from arrayopt.tree.arithmetic import sub as tree_sub
from arrayopt.tree.arithmetic import sum as tree_sum
from arrayopt.tree.arithmetic import update_infinity_moment as tree_update_infinity_moment
from arrayopt.tree.arithmetic import update_moment as tree_update_moment
from arrayopt.tree.arithmetic import update_moment_per_elem_norm as tree_update_moment_per_elem_norm
from arrayopt.tree.arithmetic import vdot as tree_vdot
from arrayopt.tree.arithmetic import where as tree_where
from arrayopt.tree.arithmetic import zeros_like as tree_zeros_like
from arrayopt.tree.search import get as tree_get
from arrayopt.tree.search import get_all_with_path as tree_get_all_with_path
from arrayopt.tree.search import map_params as tree_map_params
from arrayopt.tree.search import set as tree_set

_OLD: dict[str, tuple[Any, str]] = {
    "tree_scalar_mul": (tree_scale, "tree.scale"),
    "tree_add_scalar_mul": (tree_add_scale, "tree.add_scale"),
    "tree_l1_norm": (partial(tree_norm, ord=1), "tree.norm(…, ord=1)"),
    "tree_l2_norm": (partial(tree_norm, ord=2), "tree.norm"),
    "tree_linf_norm": (partial(tree_norm, ord=math.inf), "tree.norm(…, ord=math.inf)"),
}


def __getattr__(name: str) -> Any:
    return instead(__name__, name, _OLD)

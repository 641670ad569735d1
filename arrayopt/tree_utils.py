"""The functions of `arrayopt.tree` by their longer names: ``tree_utils.tree_add`` is ``tree.add``.

Those that Optax has given up are here too, with a `DeprecationWarning` that names what to use.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from arrayopt import deprecated, tree

tree_add = tree.add
tree_add_scale = tree.add_scale
tree_allclose = tree.allclose
tree_batch_shape = tree.batch_shape
tree_bias_correction = tree.bias_correction
tree_cast = tree.cast
tree_cast_like = tree.cast_like
tree_clip = tree.clip
tree_conj = tree.conj
tree_div = tree.div
tree_dtype = tree.dtype
tree_full_like = tree.full_like
tree_get = tree.get
tree_get_all_with_path = tree.get_all_with_path
tree_map_params = tree.map_params
tree_max = tree.max
tree_min = tree.min
tree_mul = tree.mul
tree_norm = tree.norm
tree_ones_like = tree.ones_like
tree_real = tree.real
tree_scale = tree.scale
tree_set = tree.set
tree_size = tree.size
tree_sub = tree.sub
tree_sum = tree.sum
tree_update_infinity_moment = tree.update_infinity_moment
tree_update_moment = tree.update_moment
tree_update_moment_per_elem_norm = tree.update_moment_per_elem_norm
tree_vdot = tree.vdot
tree_where = tree.where
tree_zeros_like = tree.zeros_like

_OLD: dict[str, tuple[Any, str]] = {
    "tree_scalar_mul": (tree_scale, "tree.scale"),
    "tree_add_scalar_mul": (tree_add_scale, "tree.add_scale"),
    "tree_l1_norm": (partial(tree_norm, ord=1), "tree.norm(…, ord=1)"),
    "tree_l2_norm": (partial(tree_norm, ord=2), "tree.norm"),
    "tree_linf_norm": (partial(tree_norm, ord=math.inf), "tree.norm(…, ord=math.inf)"),
}


def __getattr__(name: str) -> Any:
    return deprecated.instead(__name__, name, _OLD)

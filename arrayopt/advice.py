"""What somebody took for a tree of arrays, and what to write instead: a sentence for the end of a message."""

from __future__ import annotations

from collections.abc import Iterator, Set, ValuesView
from types import GeneratorType
from typing import Any

_NAMED = " Write dict(model.named_parameters())."
_HOMES = {
    "flax.linen": ' A Flax module holds no parameters: write model.init(key, x)["params"].',
    "flax.nnx": " Write nnx.state(model, nnx.Param).",
    "equinox": " Write equinox.filter(model, equinox.is_inexact_array).",
}
"""By the package that a model is of."""


def advice(leaf: Any, tree: Any = None) -> str:
    """A sentence about a leaf that is no array fit to be optimized; empty if there is nothing to say.

    Args:
      leaf: it.
      tree: what it was found in.
    """
    if _of_torch(leaf):
        return _NAMED
    if type(leaf).__name__ == "ShapeDtypeStruct":
        return " jax.eval_shape(optimizer.init, params) makes a state of shapes."
    if isinstance(leaf, (Iterator, ValuesView, Set)):
        return " Write a list or a dict of arrays."
    return next((said for home, said in _HOMES.items() if _is_of(tree, home)), "")


def _of_torch(leaf: Any) -> bool:
    """Whether it is a Torch module, or what iterates over the parameters of one."""
    walks = isinstance(leaf, GeneratorType) and leaf.__qualname__.startswith("Module.")
    return walks or hasattr(leaf, "named_parameters")


def _is_of(tree: Any, package: str) -> bool:
    return any([f"{kind.__module__}.".startswith(f"{package}.") for kind in type(tree).__mro__])

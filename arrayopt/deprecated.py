"""Names that Optax has given up and scripts still use: each warns, and says what to use."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from arrayopt.dispatch import is_compiling
from arrayopt.tree.arithmetic import norm
from arrayopt.tree.structure import flatten
from arrayopt.types import Updates


def global_norm(updates: Updates) -> Any:
    """The Euclidean norm of all leaves together. Deprecated: it is `arrayopt.tree.norm`.

    Args:
      updates: tree of arrays.

    Returns:
      A real 0-d array of at least float32; 0.0 for a tree without leaves.

    Example:
      >>> import arrayopt, numpy as np, warnings
      >>> with warnings.catch_warnings(record=True) as met:
      ...     warnings.simplefilter("always")
      ...     arrayopt.global_norm({"a": np.asarray([3.0]), "b": np.asarray([4.0])}).item()
      5.0
      >>> str(met[0].message)
      'arrayopt.global_norm is deprecated; use arrayopt.tree.norm.'
    """
    if not is_compiling(flatten(updates)[0]):
        warnings.warn("arrayopt.global_norm is deprecated; use arrayopt.tree.norm.", DeprecationWarning, stacklevel=2)
    return norm(updates)


def instead(module: str, name: str, old: Mapping[str, tuple[Any, str]]) -> Any:
    """For the ``__getattr__`` of a module: what serves in the place of a name that is given up.

    Args:
      module: its name.
      name: that is asked for.
      old: what there is instead of each such name, and how that is written.

    Raises:
      AttributeError: the name never was.
    """
    if name not in old:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    found, written = old[name]
    message = f"{module}.{name} is deprecated; use arrayopt.{written}."
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return found

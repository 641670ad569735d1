"""Parameters and gradients to try transforms on: trees of standard-normal arrays, the same in every run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from arrayopt_conformance.libraries import COMPLEX, Library

Shapes = Mapping[str, tuple[int, ...]]

SHAPES: Shapes = {"w": (5, 6), "c": (2, 3, 4), "b": (5,), "s": (), "o": (1,), "z": (0, 4)}
SMALL: Shapes = {"w": (5, 6), "s": ()}  # where each further shape costs a compilation
SHARDABLE: Shapes = {"w": (8, 4), "b": (4,)}


def normal(shapes: Shapes, seed: int, *, imaginary: bool = False) -> dict[str, npt.NDArray[Any]]:
    """Arrays of standard-normal numbers in double precision."""
    rng = np.random.default_rng(seed)
    real = {name: np.asarray(rng.standard_normal(shape)) for name, shape in shapes.items()}
    if not imaginary:
        return real
    return {name: x + 1j * rng.standard_normal(x.shape) for name, x in real.items()}


def parameters(library: Library, dtype: str = "float32", shapes: Shapes = SHAPES) -> Any:
    """A tree of parameters."""
    return library.tree(normal(shapes, 0, imaginary=dtype in COMPLEX), dtype)


def gradients(library: Library, dtype: str = "float32", shapes: Shapes = SHAPES, steps: int = 3) -> list[Any]:
    """A tree of gradients for each step."""
    trees = [normal(shapes, 1 + k, imaginary=dtype in COMPLEX) for k in range(steps)]
    return [library.tree(tree, dtype) for tree in trees]

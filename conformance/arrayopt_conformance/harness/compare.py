"""Trees held against each other: of one kind, the same to the last bit, or near. What differs is named by path."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from arrayopt import dtypes
from arrayopt.dispatch import backend, library
from arrayopt.tree.structure import flatten

ULP = float(np.finfo(np.float32).eps)


def by_path(tree: Any) -> dict[str, Any]:
    """The leaves of a tree under their paths."""
    leaves, spec = flatten(tree)
    return dict(zip(spec.paths(), leaves, strict=True))


def host(x: Any) -> npt.NDArray[Any]:
    """A leaf as a NumPy array, 16-bit ones widened to float32."""
    values = np.asarray(backend(x).to_numpy(x))
    return values.astype(np.float32) if values.dtype.itemsize == 2 else values


def bits(x: Any) -> tuple[Any, ...]:
    """All there is to a leaf: library, dtype, shape and every bit."""
    raw = np.asarray(backend(x).to_numpy(x)).tobytes()
    return library(x), dtypes.name(x.dtype), tuple(x.shape), raw


def snapshot(tree: Any) -> Any:
    """A tree as it is now, to be compared with itself later."""
    leaves, spec = flatten(tree)
    return spec, [bits(leaf) for leaf in leaves]


def kind(x: Any) -> tuple[Any, ...]:
    """What a leaf must keep from step to step: type, dtype, shape, and in JAX that its dtype is no mere guess."""
    return type(x).__name__, dtypes.name(x.dtype), tuple(x.shape), getattr(x, "weak_type", False)


def kinds(tree: Any) -> dict[str, tuple[Any, ...]]:
    """The kind of every leaf."""
    return {path: kind(leaf) for path, leaf in by_path(tree).items()}


def assert_structure(got: Any, wanted: Any, what: str) -> None:
    """The two trees have the same containers."""
    assert flatten(got)[1] == flatten(wanted)[1], f"{what}: {flatten(got)[1]} is not {flatten(wanted)[1]}"


def assert_alike(got: Any, wanted: Any, what: str) -> None:
    """The same structure, and leaf by leaf the same type, dtype, shape and device."""
    assert_structure(got, wanted, what)
    others = by_path(wanted)
    for path, leaf in by_path(got).items():
        assert kind(leaf) == kind(others[path]), f"{what}{path} is {kind(leaf)}, not {kind(others[path])}"
        assert leaf.device == others[path].device, f"{what}{path} is on {leaf.device}, not {others[path].device}"


def assert_same(got: Any, wanted: Any, what: str) -> None:
    """The same structure and the same bits."""
    assert_structure(got, wanted, what)
    others = by_path(wanted)
    for path, leaf in by_path(got).items():
        assert bits(leaf) == bits(others[path]), f"{what}{path} is {leaf}, not {others[path]}"


def assert_near(got: Any, wanted: Any, tolerance: float, what: str) -> None:
    """Structure and shapes agree, integers to the bit, and other values up to ``tolerance`` times the scale.

    The scale is the greatest entry of the leaf and its siblings, such as all of ``mu``. No entry is held to its own
    size: where a sum cancels, its rounding error is that of the summands.
    """
    assert_structure(got, wanted, what)
    others = {path: host(leaf) for path, leaf in by_path(wanted).items()}
    scales = _scales(others)
    for path, leaf in by_path(got).items():
        a, b = host(leaf), others[path]
        assert a.shape == b.shape, f"{what}{path} has shape {a.shape}, not {b.shape}"
        bound = tolerance * scales.get(_parent(path), 0.0) if b.dtype.kind in "fc" else 0.0
        error = float(np.max(np.abs(a - 1.0 * b), initial=0.0))  # both may be bools
        assert error <= bound, f"{what}{path} is off by {error:g}, where {bound:g} is allowed"


def _scales(leaves: dict[str, npt.NDArray[Any]]) -> dict[str, float]:
    """The greatest entry among the siblings of each parent."""
    scales: dict[str, float] = {}
    for path, leaf in leaves.items():
        if leaf.dtype.kind in "fc":
            greatest = float(np.max(np.abs(leaf), initial=0.0))
            scales[_parent(path)] = max(greatest, scales.get(_parent(path), 0.0))
    return scales


def _parent(path: str) -> str:
    """A path without its last step: ``".mu['w']"`` to ``".mu"``."""
    return path[: max(path.rfind("["), path.rfind("."), 0)]


def assert_finite(tree: Any, what: str) -> None:
    """No NaN and no infinity."""
    for path, leaf in by_path(tree).items():
        assert np.all(np.isfinite(host(leaf))), f"{what}{path} is {leaf}"


def assert_zero(tree: Any, what: str) -> None:
    """Nothing but zeros, of either sign."""
    for path, leaf in by_path(tree).items():
        assert not np.any(host(leaf)), f"{what}{path} is {leaf}, not zero"

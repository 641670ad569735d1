"""`arrayopt.tree` against ``optax.tree``, name by name, and on every library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.libraries import Library, double, libraries

import arrayopt

R = np.random.default_rng(0)
X = {"a": R.normal(size=(2, 3)), "b": [R.normal(size=4), R.normal(size=())]}
Y = {"a": R.normal(size=(2, 3)), "b": [R.normal(size=4), R.normal(size=())]}
C = {"a": R.normal(size=3) + 1j * R.normal(size=3)}

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("add", (X, Y), {}),
    ("add", (X, Y, X), {}),
    ("add_scale", (X, 0.3, Y), {}),
    ("sub", (X, Y), {}),
    ("mul", (X, Y), {}),
    ("div", (X, Y), {}),
    ("scale", (0.3, X), {}),
    ("batch_shape", (X, (2, 3)), {}),
    ("batch_shape", (X,), {}),
    ("clip", (X, -0.5, 0.5), {}),
    ("clip", (X,), {"max_value": 0.1}),
    ("conj", (C,), {}),
    ("real", (C,), {}),
    ("zeros_like", (X,), {}),
    ("ones_like", (X,), {}),
    ("full_like", (X, 2.5), {}),
    ("sum", (X,), {}),
    ("max", (X,), {}),
    ("min", (X,), {}),
    ("size", (X,), {}),
    ("vdot", (X, Y), {}),
    ("vdot", (C, C), {}),
    ("norm", (X,), {}),
    ("norm", (C,), {}),
    ("norm", (X,), {"squared": True}),
    ("norm", (X,), {"ord": 1}),
    ("norm", (X,), {"ord": "inf"}),
    ("norm", (X,), {"ord": "inf", "squared": True}),
    ("allclose", (X, X), {}),
    ("allclose", (X, Y), {}),
    ("update_moment", (X, Y, 0.9, 1), {}),
    ("update_moment", (X, Y, 0.9, 2), {}),
    ("update_moment_per_elem_norm", (X, Y, 0.9, 2), {}),
    ("update_infinity_moment", (X, Y, 0.9, 1e-3), {}),
    ("bias_correction", (X, 0.9, 3), {}),
]


def close(a: Any, b: Any, rtol: float) -> None:
    left, right = arrayopt.tree.flatten(a), arrayopt.tree.flatten(b)
    assert left[1] == right[1]
    for x, y in zip(left[0], right[0], strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=1e-12 if rtol < 1e-9 else 1e-6)


@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS, ids=lambda x: x if isinstance(x, str) else "")
def test_as_optax(name: str, args: Any, kwargs: Any) -> None:
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    with double(libraries()["jax"]):
        theirs = getattr(optax.tree, name)(*jax.tree.map(jax.numpy.asarray, args), **kwargs)
        close(getattr(arrayopt.tree, name)(*args, **kwargs), jax.tree.map(np.asarray, theirs), rtol=1e-12)


@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS, ids=lambda x: x if isinstance(x, str) else "")
def test_alike_on_every_library(library: Library, name: str, args: Any, kwargs: Any) -> None:
    def there(x: Any) -> Any:
        if not isinstance(x, (np.ndarray, np.generic)):
            return x
        return library.asarray(x, "complex64" if np.iscomplexobj(x) else "float32")

    ours = getattr(arrayopt.tree, name)(*[arrayopt.tree.map(there, a) for a in args], **kwargs)
    back = arrayopt.tree.map(lambda x: library.numpy(x) if hasattr(x, "dtype") else x, ours)
    close(back, getattr(arrayopt.tree, name)(*args, **kwargs), rtol=1e-5)


def test_trees_without_leaves() -> None:
    for empty in ({}, None, [(), {"a": None}]):
        assert arrayopt.tree.sum(empty) == 0
        assert arrayopt.tree.size(empty) == 0
        assert arrayopt.tree.norm(empty) == 0.0
        assert arrayopt.tree.max(empty) == -math.inf
        assert arrayopt.tree.min(empty) == math.inf
        assert arrayopt.tree.allclose(empty, empty)


def test_norms_are_formed_in_float32_at_least() -> None:
    assert float(arrayopt.tree.norm({"a": np.full(100, 300.0, np.float16)})) == pytest.approx(3000.0)


def test_mixed_precision_meets_in_the_widest() -> None:
    mixed = {"a": np.ones(2, np.float32), "b": np.ones(2, np.float64)}
    assert arrayopt.tree.norm(mixed).dtype == np.float64
    assert arrayopt.tree.max(mixed).dtype == np.float64


def test_numbers_are_leaves() -> None:
    assert arrayopt.tree.max({"a": 1.5, "b": np.asarray([0.0, 1.0])}) == 1.5
    assert arrayopt.tree.min([2, 3.5]) == 2


def test_a_norm_of_another_order_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^tree.norm: ord must be None, 1, 2 or inf; got 3\.$"):
        arrayopt.tree.norm(X, ord=3)


def test_where_selects() -> None:
    picked = arrayopt.tree.where({"a": True, "b": False}, {"a": 1, "b": 2}, {"a": 3, "b": 4})
    assert picked == {"a": 1, "b": 4}
    assert arrayopt.tree.where(True, X, Y) == X
    halves = arrayopt.tree.where(np.asarray([True, False]), np.ones(2), np.zeros(2))
    assert halves.tolist() == [1.0, 0.0]


def test_casts(library: Library) -> None:
    x = library.tree({"a": np.ones(2)}, "float32")
    assert arrayopt.tree.cast(x, None) is x
    there = arrayopt.tree.cast(x, library.dtypes[0])
    assert arrayopt.tree.cast_like(x, there)["a"].dtype == there["a"].dtype
    assert arrayopt.tree.zeros_like(x, library.dtypes[0])["a"].dtype == there["a"].dtype


def test_dtype() -> None:
    assert arrayopt.tree.dtype(X) == np.float64
    mixed = {"a": np.ones(1, np.float32), "b": np.ones(1, np.float64)}
    assert arrayopt.tree.dtype(mixed, "highest") == np.float64
    assert arrayopt.tree.dtype(mixed, "lowest") == np.float32
    assert arrayopt.tree.dtype(mixed, "promote") == np.float64
    with pytest.raises(ValueError, match=r"^tree.dtype: the leaves must have one dtype; got float32, float64\.$"):
        arrayopt.tree.dtype(mixed)
    with pytest.raises(ValueError, match=r"^tree.dtype: the tree has no leaves\.$"):
        arrayopt.tree.dtype({})


def test_map_names_the_path() -> None:
    with pytest.raises(ValueError, match=r"tree.map: a further tree has .* at \['b'\]"):
        arrayopt.tree.map(lambda x, y: x, {"a": 1, "b": [1, 2]}, {"a": 1, "b": (1, 2)})

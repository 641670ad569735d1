"""Norms over the whole range of a dtype: right, shown where they are not finite, and exact at the bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.harness.fused import kernel_engines
from arrayopt_conformance.libraries import Library, libraries

import arrayopt

SIZES = {
    "float64": (1e-300, 1e-200, 1e-150, 1.0, 1e150, 1e200, 1e300),
    "float32": (1e-34, 1e-30, 1e-20, 1.0, 1e20, 1e30, 1e38, 3.4e38),
    "bfloat16": (1e-34, 1e-20, 1.0, 1e20, 1e38),
    "float16": (1e-2, 1.0, 6e4),
}
pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # of what is then looked at again
CASES = [(name, dtype) for name, library in libraries().items() for dtype in SIZES if dtype in library.dtypes]
VECTOR = np.asarray([1.0, -2.0, 2.0, 0.0]) / 4


def made(library: Library, size: float, dtype: str) -> tuple[Any, Any]:
    """A tree of two leaves, and the same in double."""
    x = {"a": library.asarray(size * VECTOR, dtype), "b": library.asarray(size * np.ones((2, 1)), dtype)}
    return x, {name: np.asarray(leaf, dtype=np.float64) for name, leaf in library.numpy(x).items()}


def scaled_norm(x: dict[str, Any], size: float) -> float:
    """The norm over the size, which cannot overflow."""
    return math.sqrt(sum(float(((leaf / size) ** 2).sum()) for leaf in x.values()))


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_norms_are_right(name: str, dtype: str) -> None:
    library = libraries()[name]
    for size in SIZES[dtype]:
        x, double = made(library, size, dtype)
        wanted = scaled_norm(double, size) * size
        if wanted < (1.7e308 if dtype == "float64" else 3.4e38):
            assert float(arrayopt.tree.norm(x)) == pytest.approx(wanted, rel=1e-6), size


def clipper(library: Library, how: str, make: Callable[[Any], Any]) -> Callable[[Any, float], Any]:
    """From a tree and a bound to what is left; where it is compiled, the bound is an argument, not a constant."""

    def clipped(x: Any, bound: Any) -> Any:
        return make(bound).update(x, arrayopt.EmptyState())[0]

    return library.modes[how](clipped) if how == "jit" else clipped


@pytest.mark.parametrize(("name", "dtype"), CASES)
@pytest.mark.parametrize("how", ["eager", "jit"])
def test_clipping_is_right(name: str, dtype: str, how: str) -> None:
    library = libraries()[name]
    if how not in library.modes:
        pytest.skip("has no jit")
    tolerance = {"float16": 2e-3, "bfloat16": 2e-2}.get(dtype, 1e-6)
    together, apart = [
        clipper(library, how, make) for make in (arrayopt.clip_by_global_norm, arrayopt.clip_by_block_rms)
    ]
    for size in SIZES[dtype]:
        x, double = made(library, size, dtype)
        u = library.numpy(together(x, 0.1 * size))
        for leaf in ("a", "b"):
            wanted = double[leaf] / size / scaled_norm(double, size) * 0.1
            np.testing.assert_allclose(u[leaf].astype("f8") / size, wanted, rtol=tolerance)
        u = library.numpy(apart(x, 0.1 * size))
        wanted = double["a"] / size / np.sqrt(np.mean((double["a"] / size) ** 2)) * 0.1
        np.testing.assert_allclose(u["a"].astype("f8") / size, wanted, rtol=tolerance)


@pytest.mark.parametrize(("library", "engine"), kernel_engines("numpy", "torch"))
def test_fused_clipping_is_right(library: Library, engine: str) -> None:
    for dtype in ("float32", "float64"):
        for size in SIZES[dtype]:
            x, double = made(library, size, dtype)
            tx = arrayopt.clip_by_global_norm(0.1 * size)
            zeros = arrayopt.tree.zeros_like(x)
            u, _ = arrayopt.fused_step(tx, engine=engine)(zeros, x, tx.init(x))
            for leaf in ("a", "b"):
                wanted = double[leaf] / size / scaled_norm(double, size) * 0.1
                np.testing.assert_allclose(library.numpy(u)[leaf].astype("f8") / size, wanted, rtol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_shows_in_every_leaf(library: Library, bad: float) -> None:
    g = {"a": library.asarray([bad, 1.0], "float32"), "b": library.asarray([1.0], "float32")}
    with np.errstate(all="ignore"):
        u = library.numpy(arrayopt.clip_by_global_norm(1.0).update(g, arrayopt.EmptyState())[0])
        v = library.numpy(arrayopt.clip_by_block_rms(1.0).update(g, arrayopt.EmptyState())[0])
    assert all(np.isnan(leaf).all() for leaf in u.values())
    assert np.isnan(v["a"]).all()
    assert v["b"].tolist() == [1.0]


def test_a_gradient_at_the_bound_stays(library: Library) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        g = library.asarray(rng.normal(size=20), "float32")
        tx = arrayopt.clip_by_global_norm(float(arrayopt.tree.norm(g)))
        assert library.numpy(tx.update(g, tx.init(g))[0]).tolist() == library.numpy(g).tolist()


@pytest.mark.parametrize("tx", [arrayopt.clip_by_global_norm(1.0), arrayopt.clip_by_block_rms(1.0)])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1.0])
def test_clipping_can_be_differentiated(tx: Any, size: float) -> None:
    jax: Any = pytest.importorskip("jax")
    torch = pytest.importorskip("torch")

    def total(g: Any) -> Any:
        return tx.update(g, tx.init(g))[0].sum()

    assert np.isfinite(jax.grad(total)(jax.numpy.full(3, size))).all()
    g = torch.full((3,), size, requires_grad=True)
    total(g).backward()
    assert torch.isfinite(g.grad).all()


def test_one_pass_where_the_norm_is_ordinary() -> None:
    """Under JAX without doubles the second lies in a branch that is not taken."""
    jax: Any = pytest.importorskip("jax")
    text = str(jax.make_jaxpr(arrayopt.tree.norm)({"w": jax.numpy.ones(3)}))
    assert text.split("cond")[0].count("reduce_sum") == 1


def test_sums_of_integers_are_integers(library: Library) -> None:
    total = arrayopt.tree.sum({"a": library.asarray([1, 2], "int32"), "b": library.asarray(3, "int32")})
    assert "int" in str(total.dtype)
    assert int(total) == 6


def test_python_numbers_are_leaves_too() -> None:
    assert arrayopt.tree.sum({"a": 1}) == 1
    assert arrayopt.tree.sum({"a": 1, "b": np.ones(2, np.float32)}) == 3
    assert arrayopt.tree.size({"a": 1, "b": 2.0}) == 2
    assert arrayopt.tree.norm({"a": 3, "b": 4}) == 5
    for word in (arrayopt.tree.sum, arrayopt.tree.size, arrayopt.tree.norm):
        with pytest.raises(
            TypeError, match=r"^tree\.\w+: the leaf at \['a'\] must be an array or a number; got str\.$"
        ):
            word({"a": "x"})

"""Projections of trees: by their definitions and by Optax; laws of nearest points; the ends of the range.

What holds of every function of arrays, the laws of ``arrayopt_conformance.functions`` say.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.harness.compiled import fresh
from arrayopt_conformance.harness.strict import abroad, guarded
from arrayopt_conformance.libraries import Library, double, has, libraries
from projection_cases import CASES, NORMAL, Case, Vector, cut, gradient_of, joined, points

import arrayopt
from arrayopt import projections, simplex

EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "bfloat16": 2.0**-7, "float16": 2.0**-10}
ON = [(name, dtype) for name, library in libraries().items() for dtype in EPS if dtype in library.dtypes]
every_case = pytest.mark.parametrize("case", CASES, ids=str)
one_of_each = pytest.mark.parametrize("case", {case.name: case for case in CASES}.values(), ids=str)
every_library = pytest.mark.parametrize(("name", "dtype"), ON)
needs_optax = pytest.mark.skipif(not has("optax"), reason="Optax is not installed")
needs_jax = pytest.mark.skipif("jax" not in libraries(), reason="JAX is not installed")
needs_torch = pytest.mark.skipif("torch" not in libraries(), reason="Torch is not installed")
COTANGENT = np.asarray([0.3, -1.0, 2.0, 0.7, -0.2, 1.1, 0.4])


def project(case: Case, library: Library, x: Vector, dtype: str, how: Callable[..., Any] = lambda f: f) -> Any:
    """The case on a library, as a tree of its arrays."""

    def here(tree: Any) -> Any:
        return library.tree(tree, dtype)

    rest = case.arguments(here)
    return how(lambda tree: case.function(projections)(tree, *rest))(here(cut(x)))


def by_autograd(function: Callable[..., Any], x: Vector) -> tuple[Vector, Vector]:
    """The tree that a function answers in Torch, as a vector, and the derivative."""
    import torch

    given = torch.tensor(x, requires_grad=True)
    p = function(given)
    flat = torch.cat([p["w"].reshape(-1), p["b"].reshape(-1)])
    (found,) = torch.autograd.grad(flat @ torch.tensor(COTANGENT), given)
    return flat.detach().numpy(), found.numpy()


# -- by the definition ---------------------------------------------------------------------------------------


@every_library
@every_case
def test_is_the_nearest_point(case: Case, name: str, dtype: str) -> None:
    library = libraries()[name]
    for x in points(dtype)[::2]:
        tree = project(case, library, x, dtype)
        assert [str(leaf.dtype).endswith(dtype) for leaf in tree.values()] == [True, True]
        p, want = joined(library.numpy(tree)), case.oracle(x)
        np.testing.assert_allclose(p, want, rtol=0, atol=4 * EPS[dtype] * np.abs([*x, *want, 1]).max())


@every_case
def test_keeps_the_laws_of_projections(case: Case) -> None:
    """In the set; a second time nothing changes; no point of the set is nearer; distances do not grow."""
    numpy, xs = libraries()["numpy"], points()
    ps = [joined(project(case, numpy, x, "float64")) for x in xs]
    for x, p in zip(xs, ps, strict=True):
        assert case.outside(p) <= 1e-14 * max(1, np.abs(x).max())
        np.testing.assert_allclose(joined(project(case, numpy, p, "float64")), p, rtol=0, atol=1e-14)
        nearer = [float(np.linalg.norm(x - q)) - float(np.linalg.norm(x - p)) for q in ps]
        assert min(nearer) >= -1e-12
        if case.is_convex:
            assert max(float((x - p) @ (q - p)) for q in ps) <= 1e-11
            grown = [np.linalg.norm(p - q) - np.linalg.norm(x - y) for y, q in zip(xs, ps, strict=True)]
            assert max(grown) <= 1e-12


@every_library
@pytest.mark.parametrize("case", [case for case in CASES if case.has_inside], ids=str)
def test_a_point_of_the_set_comes_back_as_it_was(case: Case, name: str, dtype: str) -> None:
    inner = np.asarray([0.05, 0.02, 0.03, 0.0, 0.06, 0.13, 0.26]) if case.name != "halfspace" else -0.7 * NORMAL
    library = libraries()[name]
    rounded = library.numpy(library.asarray(inner, dtype)).astype(np.float64)
    assert case.outside(rounded) == 0
    np.testing.assert_array_equal(joined(library.numpy(project(case, library, inner, dtype))), rounded)


IN_TORCH = ("box", "simplex", "l1_ball", "l2_ball", "l2_sphere", "halfspace")  # by these the rest; compiling is dear


@one_of_each
@pytest.mark.parametrize("name", [name for name, library in libraries().items() if len(library.modes) > 1])
def test_compiled_it_is_the_same(case: Case, name: str) -> None:
    """Of trees; of one array every function, by the law on functions."""
    if name == "torch" and case.name not in IN_TORCH:
        return
    for x, (p, _) in zip(points()[1::3], compiled(case, name), strict=True):
        np.testing.assert_allclose(p, case.oracle(x), rtol=0, atol=1e-6 * max(1, np.abs(x).max()))


@cache
def compiled(case: Case, name: str) -> list[tuple[Vector, Any]]:
    """At every third point the answer and, in Torch, its derivative: of one compiled function."""
    library, dtype = libraries()[name], "float64" if name == "torch" else "float32"

    def here(x: Any) -> Any:
        return library.tree(x, dtype)

    def function(tree: Any) -> Any:
        return case.function(projections)(tree, *rest)

    rest, xs = case.arguments(here), points()[1::3]
    if name == "torch":
        run = fresh(library)(lambda x: function(cut(x)))
        return [by_autograd(run, x) for x in xs]
    jitted = library.modes["jit"](function)
    return [(joined(library.numpy(jitted(here(cut(x))))), None) for x in xs]


@pytest.mark.skipif("array_api_strict" not in libraries(), reason="array-api-strict is not installed")
@every_case
def test_needs_no_value_and_no_default_device(case: Case) -> None:
    library = libraries()["array_api_strict"]
    x, rest = abroad(library.tree(cut(points()[5]))), case.arguments(lambda tree: abroad(library.tree(tree)))
    with guarded():
        p = case.function(projections)(x, *rest)
    assert [leaf.device for leaf in p.values()] == [x["w"].device] * 2


@needs_jax
@every_case
def test_derivatives_are_those_of_the_definition(case: Case) -> None:
    with double(libraries()["jax"]):
        for x in points():
            found = joined(pulled(case, x)[1][0])
            np.testing.assert_allclose(found, gradient_of(case, x, COTANGENT), rtol=1e-6, atol=1e-6)


# -- by Optax --------------------------------------------------------------------------------------------------


@needs_optax
def test_names_and_signatures_are_those_of_optax() -> None:
    theirs = pytest.importorskip("optax").projections
    names = [name for name in dir(theirs) if name.startswith("projection_")]
    assert names == [name for name in dir(projections) if name.startswith("projection_")]
    for name in names:
        ours, other = [inspect.signature(getattr(module, name)).parameters for module in (projections, theirs)]
        assert [(p.name, p.kind, p.default) for p in ours.values()] == [
            (p.name, p.kind, p.default) for p in other.values()
        ]


def in_optax(case: Case) -> Callable[..., Any]:
    """The case there, where a tree wants a tree of bounds."""
    import jax
    import optax

    def whole(tree: Any, bound: Any) -> Any:
        return bound if isinstance(bound, dict) else jax.tree.map(lambda _: bound, tree)

    if case.name == "box":
        return lambda tree, low, high: optax.projections.projection_box(tree, whole(tree, low), whole(tree, high))
    if case.name == "hypercube":
        return lambda tree, scale=1.0: optax.projections.projection_box(tree, whole(tree, 0.0), whole(tree, scale))
    return case.function(optax.projections)


def pulled(case: Case, x: Vector, optax: bool = False) -> tuple[Any, Any]:
    """What it answers to a point, and its derivatives by all arguments, in double precision."""
    tree = libraries()["jax"].tree
    return pulling(case.name, optax)(tree(cut(x)), *case.arguments(tree))  # type: ignore[no-any-return]


@cache
def pulling(name: str, optax: bool) -> Callable[..., Any]:
    """Compiled for all cases of a name: numbers are among the arguments."""
    import jax

    case = next(case for case in CASES if case.name == name)
    function = in_optax(case) if optax else case.function(projections)

    @jax.jit
    def run(*args: Any) -> tuple[Any, Any]:
        value, pull = jax.vjp(function, *args)
        return value, pull(jax.tree.map(lambda v, c: jax.numpy.asarray(c, v.dtype), value, cut(COTANGENT)))

    return run


@needs_optax
@every_case
def test_values_and_derivatives_are_those_of_optax(case: Case) -> None:
    """By the tree, by the bounds, the scale, the normal and the offset."""
    import jax

    with double(libraries()["jax"]):
        for x in points()[1::2]:
            ours, theirs = [jax.tree.leaves(pulled(case, x, optax)) for optax in (False, True)]
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * max(1, np.abs(x).max()))


TIES = [
    ("box", [0.25, 0.5, 1.0], (0.25, 1.0)),
    ("hypercube", [0.0, 0.5, 1.0], (1.0,)),
    ("linf_ball", [-1.0, 0.5, 1.0], (1.0,)),
    ("non_negative", [0.0, -0.0, 1.0], ()),
    ("simplex", [1.0, 0.0, 0.0], (1.0,)),
    ("l1_ball", [0.5, -0.5, 0.0], (1.0,)),
    ("l2_ball", [3.0, 4.0, 0.0], (5.0,)),
    ("l2_ball", [0.0, 0.0, 0.0], (1.0,)),
    ("l1_ball", [0.0, 0.0, 0.0], (1.0,)),
    ("halfspace", [1.0, 1.0, 0.0], (np.asarray([1.0, 1.0, 1.0]), 2.0)),
]


@needs_optax
@pytest.mark.parametrize(("name", "x", "rest"), TIES, ids=lambda x: str(x))
def test_derivatives_on_the_bound_are_those_of_optax(name: str, x: list[float], rest: tuple[Any, ...]) -> None:
    import jax
    import optax

    with double(libraries()["jax"]):
        given = jax.numpy.asarray(x)
        ours, theirs = [
            jax.jit(jax.jacobian(lambda x, module=module: getattr(module, f"projection_{name}")(x, *rest)))(given)
            for module in (projections, optax.projections)
        ]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-15)


TREES = {
    "16": {"a": "float16"},
    "mixed": {"a": "float16", "b": "float32"},
    "two kinds of 16": {"a": "float16", "b": "bfloat16"},
    "32": {"a": "float32"},
}


@needs_optax
@pytest.mark.parametrize("kinds", TREES.values(), ids=TREES.keys())
@pytest.mark.parametrize("number", ["a number", "an array"])
@every_case
def test_dtypes_are_those_of_optax(case: Case, kinds: dict[str, str], number: str) -> None:
    import jax
    import jax.numpy as jnp

    x = {name: jnp.full(3, 0.5, kind) for name, kind in kinds.items()}
    scalars = [v if number == "a number" else jnp.float32(v) for v in case.further if isinstance(v, float)]
    rest = [{name: jnp.ones(3, "float32") for name in x} for v in case.further if isinstance(v, np.ndarray)]
    ours = jax.eval_shape(lambda x: case.function(projections)(x, *rest, *scalars), x)
    if case.name in ("simplex", "l1_ball", "l1_sphere"):  # Optax: one 16-bit array becomes float32, l1_ball raises
        assert {name: str(leaf.dtype) for name, leaf in ours.items()} == kinds
    else:
        theirs = jax.eval_shape(lambda x: in_optax(case)(x, *rest, *scalars), x)
        assert {name: leaf.dtype for name, leaf in ours.items()} == {
            name: leaf.dtype for name, leaf in theirs.items()
        }


# -- ways to run -----------------------------------------------------------------------------------------------


@needs_jax
@every_case
def test_rows_at_once_are_rows_one_by_one(case: Case) -> None:
    import jax

    xs = np.stack(points("float32")).astype(np.float32)
    rest = case.arguments(libraries()["jax"].tree)
    rows, one = both_ways(case.name, len(rest))
    found = rows(jax.numpy.asarray(xs), *rest)
    for i, x in enumerate(xs):
        row = {name: leaf[i] for name, leaf in found.items()}
        np.testing.assert_allclose(joined(row), joined(one(jax.numpy.asarray(x), *rest)), rtol=1e-5, atol=1e-6)


@cache
def both_ways(name: str, further: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Of rows and of one point, compiled for all cases of a name."""
    import jax

    def function(x: Any, *rest: Any) -> Any:
        return getattr(projections, f"projection_{name}")(cut(x), *rest)

    return jax.jit(jax.vmap(function, (0, *[None] * further))), jax.jit(function)


@needs_torch
@one_of_each
@pytest.mark.parametrize("how", ["autograd", "func", "compile"])
def test_derivatives_in_torch(case: Case, how: str) -> None:
    if how == "compile" and case.name not in IN_TORCH:
        return
    import torch

    rest, cotangent = case.arguments(libraries()["torch"].tree), torch.tensor(COTANGENT)

    def function(x: Any) -> Any:
        return case.function(projections)(cut(x), *rest)

    def seen(x: Any) -> Any:
        p = function(x)
        return torch.cat([p["w"].reshape(-1), p["b"].reshape(-1)]) @ cotangent

    for k, x in enumerate(points()[1::3]):
        if how == "func":
            found = torch.func.grad(seen)(torch.tensor(x))
        else:
            found = compiled(case, "torch")[k][1] if how == "compile" else by_autograd(function, x)[1]
        np.testing.assert_allclose(found, gradient_of(case, x, COTANGENT), rtol=1e-6, atol=1e-6)


@needs_torch
def test_a_number_that_changes_between_compiled_calls() -> None:
    """From the second value on it is a symbol to the compiler."""
    import torch

    compiled = fresh(libraries()["torch"])(projections.projection_l2_ball)
    for scale in (0.5, 0.75, 2.0, 20.0):
        np.testing.assert_allclose(torch.linalg.norm(compiled(torch.ones(9), scale)), min(scale, 3), rtol=1e-6)


# -- the ends of the range ---------------------------------------------------------------------------------------

overflows = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # of a norm, which is then formed again
RANGE = {
    "float64": (1e-300, 1e-160, 1e160, 1e300),
    "float32": (1e-36, 1e-25, 1e25, 3e37),
    "bfloat16": (1e-36, 3e37),
    "float16": (1e-2, 1e4),
}


@every_library
@every_case
@overflows
def test_all_that_scales_scales(case: Case, name: str, dtype: str) -> None:
    """P of s·x onto s times the set is s times P x, for s near both ends of the range."""
    library = libraries()[name]
    for size in RANGE[dtype]:
        x = np.asarray([[1.0, -0.3, 0.0], [0.8, 2.0, -1.7]])
        scaled = library.asarray(size * x, dtype)
        rest = [
            library.asarray(size * cut(v)["w"], dtype) if isinstance(v, np.ndarray) else size * v
            for v in case.further
        ]
        if case.name in ("vector", "hyperplane", "halfspace"):
            rest[0] = library.asarray(cut(NORMAL)["w"], dtype)
        if case.name in ("hypercube", "linf_ball") and not rest:
            rest = [size]
        found = library.numpy(case.function(projections)(scaled, *rest)).astype(np.float64) / size
        given = library.numpy(scaled).astype(np.float64) / size
        want = small(case, given)
        np.testing.assert_allclose(found, want, rtol=0, atol=16 * EPS[dtype] * np.abs(given).max())


def small(case: Case, x: Any) -> Any:
    """The case in double, of the first leaf alone and an ordinary size."""
    further = [cut(v)["w"] if isinstance(v, np.ndarray) else v for v in case.further]
    return case.function(projections)(x, *further)


@every_library
@overflows
def test_a_factor_out_of_range_leaves_its_product_in_range(name: str, dtype: str) -> None:
    library = libraries()[name]
    low, high = {"float64": (1e-200, 1e200), "float16": (1e-3, 6e4)}.get(dtype, (1e-30, 1e30))
    x = library.asarray(high * np.asarray([0.6, -0.8]), dtype)
    for kind in ("ball", "sphere"):
        p = library.numpy(getattr(projections, f"projection_l2_{kind}")(x, low))
        np.testing.assert_allclose(p.astype(np.float64) / low, [0.6, -0.8], rtol=8 * EPS[dtype])


@every_library
@overflows
def test_great_and_tiny_normals(name: str, dtype: str) -> None:
    library = libraries()[name]
    for size in RANGE[dtype]:
        a, x = library.asarray(size * np.asarray([3.0, 4.0]) / 5, dtype), library.asarray([1.0, 2.0], dtype)
        np.testing.assert_allclose(
            library.numpy(projections.projection_vector(x, a)).astype(float), [1.32, 1.76], rtol=16 * EPS[dtype]
        )
        y = library.numpy(projections.projection_hyperplane(x, a, 0.0)).astype(float)
        np.testing.assert_allclose(y, [-0.32, 0.24], rtol=0, atol=16 * EPS[dtype])


@every_library
def test_a_radius_of_zero(name: str, dtype: str) -> None:
    library = libraries()[name]
    for kind in ("simplex", "l1_ball", "l1_sphere", "l2_ball", "l2_sphere", "linf_ball", "hypercube"):
        for x in ([1.0, -2.0], [0.0, 0.0]):
            for scale in (0, 0.0, library.asarray(0.0, dtype)):
                p = getattr(projections, f"projection_{kind}")(library.asarray(x, dtype), scale)
                np.testing.assert_array_equal(library.numpy(p), [0.0, 0.0])


@every_library
def test_zero_is_projected_onto_a_sphere_and_along_a_zero_normal(name: str, dtype: str) -> None:
    library = libraries()[name]
    zero, one = library.asarray(np.zeros(4), dtype), library.asarray(np.ones(4), dtype)
    np.testing.assert_array_equal(library.numpy(projections.projection_l2_sphere(zero, 3.0)), [1.5] * 4)
    np.testing.assert_array_equal(library.numpy(projections.projection_l1_sphere(zero, 3.0)), [0.75] * 4)
    np.testing.assert_array_equal(library.numpy(projections.projection_vector(one, zero)), [0.0] * 4)
    for kind in ("hyperplane", "halfspace"):
        np.testing.assert_array_equal(
            library.numpy(getattr(projections, f"projection_{kind}")(one, zero, 1.0)), [1.0] * 4
        )


@every_library
@every_case
def test_empty_trees_and_leaves(case: Case, name: str, dtype: str) -> None:
    library = libraries()[name]
    function, scalars = case.function(projections), [x for x in case.further if isinstance(x, float)]
    trees = sum([isinstance(x, np.ndarray) for x in case.further])
    for tree in ({}, None, {"a": None, "b": ()}):
        assert function(tree, *[tree] * trees, *scalars) == tree
    empty = library.asarray(np.zeros((0, 3)), dtype)
    p = function({"a": empty}, *[{"a": empty}] * trees, *scalars)
    assert (p["a"].shape, p["a"].dtype) == (empty.shape, empty.dtype)


@every_library
@every_case
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_nan_shows(case: Case, name: str, dtype: str) -> None:
    library = libraries()[name]
    p = project(case, library, np.asarray([math.nan, 1.0, 2.0, -3.0, 0.5, 0.0, 1.0]), dtype)
    assert np.isnan(joined(library.numpy(p))[0])


# -- the simplex ---------------------------------------------------------------------------------------------------


@every_library
def test_an_entry_of_minus_infinity_has_no_share(name: str, dtype: str) -> None:
    library = libraries()[name]
    p = library.numpy(projections.projection_simplex(library.asarray([0.0, 0.0, -math.inf], dtype), 1.0))
    np.testing.assert_array_equal(p, [0.5, 0.5, 0.0])


@every_library
def test_ties_share_alike(name: str, dtype: str) -> None:
    library = libraries()[name]
    for x, want in (([2.0] * 4, [0.25] * 4), ([1.0, 1.0, 0.5, 0.5], [0.5, 0.5, 0.0, 0.0]), ([7.0], [1.0])):
        np.testing.assert_array_equal(library.numpy(projections.projection_simplex(library.asarray(x, dtype))), want)


MANY = {
    "normal": lambda rng, n: rng.normal(size=n),
    "all in": lambda rng, n: 0.5 + 1e-7 * rng.random(n),
    "one above many": lambda rng, n: np.concatenate([[0.5], 1e-6 * rng.random(n - 1)]),
    "far from zero": lambda rng, n: 1000 + 1e-3 * rng.random(n),
    "ties": lambda rng, n: np.round(rng.normal(size=n)),
}


@pytest.mark.parametrize("how", MANY)
@pytest.mark.parametrize(  # array-api-strict computes by NumPy
    ("name", "dtype"), [on for on in ON if on[1] in ("float32", "float64") and on[0] != "array_api_strict"]
)
def test_a_million_entries(how: str, name: str, dtype: str) -> None:
    """As exact as the entries are, and the sum to the last digits: not a million times as inexact."""
    library = libraries()[name]
    given = many(how, dtype)
    p = library.numpy(projections.projection_simplex(library.asarray(given))).astype(np.float64)
    assert p.min() >= 0
    assert p.sum() == pytest.approx(1, abs=16 * EPS[dtype])
    np.testing.assert_allclose(
        p, simplex_oracle(how, dtype), rtol=8 * EPS[dtype], atol=4 * EPS[dtype] * min(float(np.ptp(given)), 1)
    )


@cache
def many(how: str, dtype: str) -> Any:
    return MANY[how](np.random.default_rng(0), 10**6).astype(dtype)


@cache
def simplex_oracle(how: str, dtype: str) -> Vector:
    """By Newton's method from below, which ends at the root: of what the greatest is above, in extended precision."""
    x, low = many(how, dtype).astype(np.longdouble), np.longdouble(-1)
    x = x - x.max()
    for _ in range(100):
        gap = np.maximum(x - low, 0)
        last, low = low, low + (gap.sum() - 1) / (gap > 0).sum()
        if abs(low - last) <= 1e-18 * abs(low):
            break
    return np.maximum(x - low, 0).astype(np.float64)


@every_library
def test_threshold_of_rows(name: str, dtype: str) -> None:
    if dtype in ("float16", "bfloat16"):
        pytest.skip("is given at least float32")
    library, rows = libraries()[name], np.stack(points()).reshape(2, 5, 7)
    x = library.asarray(rows, dtype)
    tau, support = [library.backend.to_numpy(part) for part in simplex.threshold(x, 2.0)]
    found = library.numpy(simplex.project(x, 2.0))
    assert tau.shape == (2, 5, 1)
    np.testing.assert_allclose(found.sum(-1), 2.0, rtol=8 * EPS[dtype])
    np.testing.assert_array_equal(support, found > 0)
    np.testing.assert_allclose(
        np.where(support, rows - tau, 0), found, rtol=0, atol=8 * EPS[dtype] * np.abs(rows).max()
    )


# -- arguments -----------------------------------------------------------------------------------------------------


def test_numbers_alone_give_numpy_arrays() -> None:
    p = projections.projection_l2_ball((3.0, 4))
    assert [type(x) for x in p] == [np.ndarray] * 2
    np.testing.assert_allclose(p, [0.6, 0.8])
    q = projections.projection_box((-1.0, {"k": 2.0}), (0.0, {"k": 0.0}), None)
    assert (q[0].dtype, float(q[0]), float(q[1]["k"])) == (np.float64, 0.0, 2.0)


def test_numpy_beside_jax_is_taken_as_jax() -> None:
    if "jax" not in libraries():
        pytest.skip("JAX is not installed")
    import jax.numpy as jnp

    p = projections.projection_l1_ball({"a": np.asarray([3.0, 1.0]), "b": jnp.asarray(0.5)})
    assert [type(x) for x in p.values()] == [type(jnp.zeros(()))] * 2
    assert [str(x.dtype) for x in p.values()] == ["float32"] * 2


WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: projections.projection_l2_ball(np.ones(2), -1.0),
        ValueError,
        "l2_ball: scale must be at least 0; got -1",
    ),
    (lambda: projections.projection_simplex(np.ones(2), np.ones(2)), ValueError, "simplex: scale must be a scalar"),
    (lambda: projections.projection_simplex(np.ones(2), None), TypeError, "simplex: scale must be a real number"),
    (
        lambda: projections.projection_l1_ball({"w": np.arange(3)}),
        TypeError,
        r"l1_ball: tree\['w'\] must be floating",
    ),
    (
        lambda: projections.projection_non_negative({"w": "x"}),
        TypeError,
        r"non_negative: tree\['w'\] must be an array",
    ),
    (
        lambda: projections.projection_box(np.ones(2), 1.0, 0.0),
        ValueError,
        "box: lower must not be above upper; got 1",
    ),
    (lambda: projections.projection_box(np.ones(2), np.ones(3), None), ValueError, r"lower must broadcast to \(2,\)"),
    (lambda: projections.projection_box({"w": np.ones(2)}, {"v": 0.0}, None), ValueError, "box: lower"),
    (lambda: projections.projection_hypercube(np.ones(2), -1), ValueError, "hypercube: scale must be at least 0"),
    (
        lambda: projections.projection_vector([np.ones(2)], [np.ones(3)]),
        ValueError,
        r"vector: a\[0\] must have the sh",
    ),
    (lambda: projections.projection_vector([np.ones(2)], (np.ones(2),)), ValueError, "vector: a"),
    (lambda: projections.projection_halfspace(np.ones(2), np.ones(2), "b"), TypeError, "halfspace: b must be"),
]


@pytest.mark.parametrize(("call", "kind", "message"), WRONG)
def test_what_is_wrong_is_said(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


@needs_torch
def test_two_libraries_do_not_meet() -> None:
    import torch

    with pytest.raises(TypeError, match="projection_vector: all arrays must be of one library"):
        projections.projection_vector(np.ones(2), torch.ones(2))


@every_case
def test_inputs_stay_as_they_were(case: Case) -> None:
    x = points()[6]
    kept, rest = x.copy(), case.arguments(lambda tree: tree)
    p = case.function(projections)(cut(x), *rest)
    p["w"][...] = 7.0
    np.testing.assert_array_equal(x, kept)


def test_they_are_a_module_of_the_package() -> None:
    assert arrayopt.projections is projections

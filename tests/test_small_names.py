"""The small functions that scripts for Optax use: on every library, beside Optax, and where they say no."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.libraries import Library, double, libraries

import arrayopt
from arrayopt import dtypes
from arrayopt.tree import StructureError

R = np.random.default_rng(3)
NEW = {"w": R.normal(size=(2, 3)), "b": [R.normal(size=4), R.normal(size=())]}
OLD = {"w": R.normal(size=(2, 3)), "b": [R.normal(size=4), R.normal(size=())]}


def close(a: Any, b: Any, rtol: float) -> None:
    for x, y in zip(arrayopt.tree.leaves(a), arrayopt.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=rtol)


# -- incremental_update ------------------------------------------------------------------------------------------

SHARES = (0.0, 0.005, 0.5, 0.9, 1.0)


@pytest.mark.parametrize("share", SHARES)
def test_an_average_is_that_of_optax(library: Library, share: float) -> None:
    optax, jax = pytest.importorskip("optax"), pytest.importorskip("jax")
    with double(libraries()["jax"]):
        trees = [jax.tree.map(jax.numpy.asarray, tree) for tree in (NEW, OLD)]
        wanted = jax.tree.map(np.asarray, optax.incremental_update(*trees, share))
    with double(library):
        new, old = [library.tree(tree, "float64") for tree in (NEW, OLD)]
        for size in (share, library.asarray(share, "float64"), np.float64(share)):
            close(library.numpy(arrayopt.incremental_update(new, old, size)), wanted, 1e-14)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_a_constant_is_a_fixed_point(library: Library, dtype: str) -> None:
    if dtype not in library.dtypes:
        pytest.skip(f"{library} has no {dtype}")
    x = library.asarray([0.1, -3.0, 1e4], dtype)
    for share in (0.1, 0.7):
        moved = arrayopt.incremental_update(x, x, share)
        assert dtypes.name(moved.dtype) == dtype
        assert np.array_equal(library.numpy(moved), library.numpy(x))


def test_an_average_is_of_the_dtype_that_both_are_promoted_to() -> None:
    new, old = np.ones(1, np.float16), np.zeros(1, np.float32)
    assert arrayopt.incremental_update(new, old, 0.5).dtype == np.float32
    assert arrayopt.incremental_update(old, new, 0.5).dtype == np.float32


def test_where_there_is_no_new_value_the_old_one_stays() -> None:
    moved = arrayopt.incremental_update({"w": np.ones(1), "b": None}, {"w": np.zeros(1), "b": np.zeros(1)}, 0.5)
    assert moved["w"].tolist() == [0.5] and moved["b"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("new", "old", "share", "error", "said"),
    [
        ({"w": np.ones(2)}, {"w": np.ones(3)}, 0.5, ValueError, r"the new value at \['w'\] has shape \(2,\)"),
        ({"w": np.ones(2)}, {"v": np.ones(2)}, 0.5, StructureError, "the new value has dict"),
        (np.arange(2), np.arange(2), 0.5, TypeError, "the new value must be floating point or complex"),
        (np.ones(2), np.ones(2), "0.5", TypeError, "step_size must be a number"),
        (np.ones(2), np.ones(2), np.ones(2), ValueError, "step_size must be a scalar"),
        (np.ones(2), np.ones(2), np.nan, ValueError, "step_size must be a finite number"),
    ],
)
def test_what_makes_no_average_is_refused(new: Any, old: Any, share: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=f"^incremental_update: {said}"):
        arrayopt.incremental_update(new, old, share)


# -- periodic_update ---------------------------------------------------------------------------------------------


def test_a_target_is_renewed_every_so_many_steps(library: Library) -> None:
    new, old = library.tree(NEW, "float32"), library.tree(OLD, "float32")
    for form in (int, np.int32, lambda k: library.asarray(k, "int32")):
        for k in range(7):
            found = library.numpy(arrayopt.periodic_update(new, old, form(k), form(3)))
            close(found, library.numpy(old if k % 3 else new), 0.0)


def test_targets_may_be_of_any_dtype_and_have_memory_of_their_own() -> None:
    new, old = {"n": np.asarray([1, 2]), "b": np.asarray(True)}, {"n": np.asarray([3, 4]), "b": np.asarray(False)}
    found = arrayopt.periodic_update(new, old, 4, 2)
    assert found["n"].tolist() == [1, 2] and found["b"]
    assert not np.shares_memory(found["n"], new["n"])


@pytest.mark.parametrize(
    ("new", "old", "period", "error", "said"),
    [
        (np.ones(2), np.ones(2), 0, ValueError, r"update_period must be at least 1; got 0\."),
        (np.ones(2), np.ones(2), None, TypeError, "update_period must be a number or a 0-d array"),
        (np.ones(2), np.ones(2), np.ones(2), ValueError, "update_period must be a scalar"),
        ({"w": np.ones(2)}, {"w": np.ones(3)}, 2, ValueError, r"the new value at \['w'\] has shape \(2,\)"),
        (np.ones(2), np.arange(2), 2, TypeError, "the new value and the old one must be of one library and dtype"),
        (np.ones(2), 1.0, 2, TypeError, "the new value and the old one must be arrays"),
    ],
)
def test_what_makes_no_target_is_refused(new: Any, old: Any, period: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=f"^periodic_update: {said}"):
        arrayopt.periodic_update(new, old, 1, period)


def test_both_are_compiled(library: Library) -> None:
    new, old = library.tree(NEW, "float32"), library.tree(OLD, "float32")
    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (arrayopt.incremental_update, (new, old, library.asarray(0.25, "float32"))),
        (arrayopt.periodic_update, (new, old, library.asarray(4, "int32"), library.asarray(2, "int32"))),
    ]
    for function, args in calls:
        for mode in library.modes.values():
            close(library.numpy(mode(function)(*args)), library.numpy(function(*args)), 1e-6)


# -- zero_nans, keep_params_nonnegative --------------------------------------------------------------------------


def test_zero_nans_remembers_where_the_last_ones_were(library: Library) -> None:
    tx = arrayopt.zero_nans()
    bad = library.tree({"w": np.asarray([np.nan, 1.0]), "b": np.asarray([np.inf])}, "float32")
    state = tx.init(bad)
    assert not any([bool(x) for x in arrayopt.tree.leaves(state)])
    us, state = tx.update(bad, state)
    assert library.numpy(us["w"]).tolist() == [0.0, 1.0] and library.numpy(us["b"]).tolist() == [np.inf]
    assert bool(state.found_nan["w"]) and not bool(state.found_nan["b"])
    _, kept = tx.update({"w": None, "b": bad["b"]}, state)
    assert bool(kept.found_nan["w"])
    _, state = tx.update(arrayopt.tree.zeros_like(bad), state)
    assert not bool(state.found_nan["w"])


@pytest.mark.parametrize("narrow", ["float32", "bfloat16", "float16"])
def test_parameters_stay_nonnegative_when_updates_are_rounded(library: Library, narrow: str) -> None:
    wide = "float64" if narrow == "float32" else "float32"
    if not {wide, narrow} <= set(library.dtypes):
        pytest.skip(f"{library} has not both")
    p = library.asarray(np.abs(R.normal(size=999)) * 10.0 ** R.uniform(-8, 6, size=999), wide)
    tx = arrayopt.keep_params_nonnegative()
    g = library.asarray(np.full(999, -60000.0), narrow)
    u, _ = tx.update(g, tx.init(p), p)
    left = library.numpy(arrayopt.apply_updates(p, u))
    assert dtypes.name(u.dtype) == narrow
    small = library.numpy(p) < 6e4
    assert np.all(left >= 0) and np.all(left[small] <= 0.02 * library.numpy(p)[small] + 1e-5)


def test_parameters_are_asked_for() -> None:
    tx = arrayopt.keep_params_nonnegative()
    with pytest.raises(ValueError, match=r"^keep_params_nonnegative: update needs the parameters"):
        tx.update(np.ones(1), tx.init(np.ones(1)))


# -- stateless ---------------------------------------------------------------------------------------------------


def test_functions_are_handed_the_parameters() -> None:
    p, g = {"w": np.asarray([1.0, 2.0]), "b": np.ones(1)}, {"w": np.ones(2), "b": None}
    by_leaf = arrayopt.stateless_with_tree_map(lambda u, x: u - x)
    by_tree = arrayopt.stateless(lambda us, ps: {"w": us["w"] - ps["w"], "b": us["b"]})
    for tx in (by_leaf, by_tree):
        us, state = tx.update(g, tx.init(p), p)
        assert us["w"].tolist() == [0.0, -1.0] and us["b"] is None and state == arrayopt.EmptyState()
    seen: list[Any] = []

    def looking(u: Any, x: Any) -> Any:
        seen.append(x)
        return u

    tx = arrayopt.stateless_with_tree_map(looking)
    tx.update(g, tx.init(p))
    assert seen == [None]


def test_answers_are_looked_at() -> None:
    g = {"w": np.ones(2, np.float16)}
    tx = arrayopt.stateless(lambda us, ps: {"w": us["w"].astype(np.float32)})
    assert tx.update(g, tx.init(g))[0]["w"].dtype == np.float16
    tx = arrayopt.stateless(lambda us, ps: [us["w"]])
    with pytest.raises(StructureError, match=r"^stateless: what f answers has list"):
        tx.update(g, tx.init(g))
    tx = arrayopt.stateless_with_tree_map(lambda u, p: 1.0)
    with pytest.raises(TypeError, match=r"^stateless_with_tree_map: f must answer with an array; got float 1\.0\.$"):
        tx.update(g, tx.init(g))


# -- older names -------------------------------------------------------------------------------------------------


def test_older_names_that_optax_still_has_are_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert arrayopt.safe_int32_increment is arrayopt.safe_increment
        for name in vars(arrayopt.tree_utils):
            if name.startswith("tree_"):
                assert getattr(arrayopt.tree_utils, name) is getattr(arrayopt.tree, name.removeprefix("tree_"))


def test_names_that_optax_gave_up_warn_and_say_what_to_use() -> None:
    x, squares = {"a": np.asarray([3.0, -4.0])}, {"a": np.asarray([6.0, -8.0])}
    with pytest.warns(DeprecationWarning, match=r"^arrayopt\.global_norm is deprecated; use arrayopt\.tree\.norm\.$"):
        assert arrayopt.global_norm(x) == 5.0
    calls: dict[str, tuple[str, Any, Any]] = {
        "tree_scalar_mul": (r"tree\.scale", lambda f: f(2.0, x)["a"].tolist(), [6.0, -8.0]),
        "tree_add_scalar_mul": (r"tree\.add_scale", lambda f: f(x, -0.5, squares)["a"].tolist(), [0.0, 0.0]),
        "tree_l1_norm": (r"tree\.norm\(…, ord=1\)", lambda f: f(x), 7.0),
        "tree_l2_norm": (r"tree\.norm", lambda f: f(x, squared=True), 25.0),
        "tree_linf_norm": (r"tree\.norm\(…, ord=math\.inf\)", lambda f: f(x), 4.0),
    }
    for name, (use, call, wanted) in calls.items():
        with pytest.warns(
            DeprecationWarning, match=rf"^arrayopt\.tree_utils\.{name} is deprecated; use arrayopt\.{use}\.$"
        ):
            found = getattr(arrayopt.tree_utils, name)
        assert call(found) == wanted
    with pytest.raises(AttributeError, match="has no attribute 'tree_nonsense'"):
        arrayopt.tree_utils.tree_nonsense  # noqa: B018


def test_a_norm_by_its_old_name_is_compiled() -> None:
    jax = pytest.importorskip("jax")
    with pytest.warns(DeprecationWarning, match="global_norm"):
        assert float(jax.jit(arrayopt.global_norm)(jax.numpy.ones(4))) == 2.0


def test_nor_does_its_warning_keep_torch_from_compiling() -> None:
    torch = pytest.importorskip("torch")
    compiled = torch.compile(arrayopt.global_norm, fullgraph=True, backend="aot_eager")
    assert float(compiled({"a": torch.ones(4)})) == 2.0


def test_counters_of_every_integer_dtype_count(library: Library) -> None:
    for dtype in (
        "int8",
        "int32",
        "uint8",
        *(["uint32"] if library.name != "torch" else []),
    ):  # it compares no uint32
        most = np.iinfo(dtype).max
        counts = [library.asarray(np.asarray(k, dtype), dtype) for k in (0, most - 1, most)]
        found = [int(library.numpy(arrayopt.safe_increment(count))) for count in counts]
        assert found == [1, most, most]

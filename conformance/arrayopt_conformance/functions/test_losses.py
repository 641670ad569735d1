"""What is asked of the losses at the ends of their range, and of what they are given."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import arrayopt
from arrayopt import losses
from arrayopt_conformance.functions.laws import widest
from arrayopt_conformance.functions.runs import ran
from arrayopt_conformance.harness.compare import host
from arrayopt_conformance.libraries import Library, Numpy, libraries

HUGE = 1e4


def given(library: Library, *xs: Any, dtype: str = "float32") -> list[Any]:
    """Floating-point arrays of a dtype; integers and bools as they are."""
    arrays = [np.asarray(x) for x in xs]
    return [library.asarray(x, dtype if x.dtype.kind == "f" else None) for x in arrays]


def slope(f: Callable[[Any], Any], library: Library, x: Any, order: int = 1) -> Numpy | None:
    """The derivative of the sum by an array, entry by entry; None where the library has none."""
    if library.name == "jax":
        of: Any = importlib.import_module("jax").grad
    elif library.name == "torch":
        of = importlib.import_module("torch").func.grad
    else:
        return None

    def derived(g: Callable[[Any], Any]) -> Any:
        def total(x: Any) -> Any:
            return g(x).sum()

        return of(total)

    for _ in range(order):
        f = derived(f)
    return host(ran(f, library)(x))


def of_ones(x: Any) -> Any:
    return losses.sigmoid_binary_cross_entropy(x, 1)


def of_first(f: Callable[..., Any], *rest: Any, **named: Any) -> Callable[[Any], Any]:
    """A function of its first argument alone."""
    return lambda x: f(x, *rest, **named)


# -- the ends of the range -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_cross_entropies_of_huge_logits(library: Library, dtype: str) -> None:
    if dtype not in library.dtypes:
        return
    x, hot, at = given(library, [[HUGE, -HUGE, 0.0]] * 3, np.eye(3), np.arange(3), dtype=dtype)
    wanted = np.asarray([0.0, 2 * HUGE, HUGE])
    for f, y in ((losses.softmax_cross_entropy, hot), (losses.softmax_cross_entropy_with_integer_labels, at)):
        assert np.allclose(host(ran(f, library)(x, y)), wanted, rtol=2e-3)
        found = slope(of_first(f, y), library, x)
        assert found is None or np.array_equal(found, [[0, 0, 0], [1, -1, 0], [1, 0, -1]])


def test_binary_cross_entropies_of_huge_logits(library: Library) -> None:
    x, y = given(library, [HUGE, HUGE, -HUGE, -HUGE, -20.0], [1.0, 0.0, 1.0, 0.0, 0.0])
    found, wanted = host(losses.sigmoid_binary_cross_entropy(x, y)), [0, HUGE, HUGE, 0, math.log1p(math.exp(-20))]
    assert np.allclose(found, wanted, rtol=1e-6, atol=0)
    found_slope = slope(lambda x: losses.sigmoid_binary_cross_entropy(x, y), library, x)
    assert found_slope is None or np.allclose(found_slope, [0, 1, -1, 0, math.exp(-20)], rtol=1e-6, atol=0)
    assert np.all(np.isfinite(host(losses.sigmoid_focal_loss(x, y, alpha=0.3, gamma=0.5))))


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_of_focal_loss_are_finite(library: Library, order: int) -> None:
    x, y = given(library, [100.0, -100.0, HUGE, -HUGE, 50.0, -50.0, 0.0], [0.9, 0.1, 0.8, 0.2, 1.0, 0.0, 1.0])
    found = slope(lambda x: losses.sigmoid_focal_loss(x, y, gamma=0.5), library, x, order)
    assert found is None or np.all(np.isfinite(found))


@pytest.mark.parametrize(
    ("f", "curvature"),
    [
        (losses.log_cosh, 1.0),
        (of_ones, 0.25),
        (losses.l2_loss, 1.0),
        (losses.squared_error, 2.0),
    ],
)
def test_second_derivatives_at_zero(library: Library, f: Any, curvature: float) -> None:
    (x,) = given(library, [0.0])
    found = slope(f, library, x, 2)
    assert found is None or np.allclose(found, curvature)


@pytest.mark.parametrize("f", [losses.huber_loss, losses.log_cosh, losses.squared_error])
def test_the_derivative_at_zero_is_zero(library: Library, f: Any) -> None:
    (x,) = given(library, [0.0])
    found = slope(f, library, x)
    assert found is None or np.array_equal(found, [0.0])


def test_log_cosh_of_small_and_large_errors(library: Library) -> None:
    x, *_ = given(library, [1e-3, 1e-6, 500.0, 1e30])
    assert np.allclose(host(losses.log_cosh(x)), [4.9999992e-7, 5e-13, 500 - math.log(2), 1e30], rtol=1e-6, atol=0)
    found = slope(losses.log_cosh, library, x)
    assert found is None or np.allclose(found, [1e-3, 1e-6, 1, 1], rtol=1e-6)


def test_zero_times_the_logarithm_of_zero_is_zero(library: Library) -> None:
    inf = math.inf
    q, p, log_p = given(library, [[0.0, -inf]], [[1.0, 0.0]], [[0.0, -inf]])
    for f, target in (
        (losses.kl_divergence, p),
        (losses.generalized_kl_divergence, p),
        (losses.kl_divergence_with_log_targets, log_p),
    ):
        assert np.array_equal(host(f(q, target)), [0.0])
        for found in (slope(of_first(f, target), library, q), slope(partial(f, q), library, target)):
            assert found is None or np.all(np.isfinite(found)), f"{f}: {found}"


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_the_length_of_vectors_does_not_matter(library: Library, scale: float) -> None:
    x, y = given(library, [[3.0 * scale, 4.0 * scale]], [[1.0, 0.0]])
    assert np.allclose(host(losses.cosine_similarity(x, y)), 0.6)
    assert np.allclose(host(losses.cosine_distance(y, x, epsilon=1e-8 * min(scale, 1) ** 2)), 0.4)
    found = slope(lambda v: losses.cosine_similarity(v, y), library, x)
    assert found is None or np.allclose(found * scale, [[0.128, -0.096]], rtol=1e-5)
    _, gradient = losses.value_and_grad(losses.cosine_similarity)(x, y)
    assert np.allclose(host(gradient) * scale, [[0.128, -0.096]], rtol=1e-5)


def test_nan_is_not_hidden(library: Library) -> None:
    (x,) = given(library, [[math.nan, 0.0]])
    hot, at = given(library, [[1.0, 0.0]], [0])

    def found(x: Any, hot: Any, at: Any) -> list[Any]:
        return [
            losses.softmax_cross_entropy(x, hot),
            losses.softmax_cross_entropy_with_integer_labels(x, at),
            losses.kl_divergence(x, hot),
            losses.kl_divergence_with_log_targets(hot, x),
            losses.log_cosh(x)[:, 0],
            losses.huber_loss(x)[:, 0],
            losses.hinge_loss(x, hot)[:, 0],
            losses.sigmoid_focal_loss(x, hot)[:, 0],
        ]

    with warnings.catch_warnings(action="ignore"):
        for k, y in enumerate(ran(found, library)(x, hot, at)):
            assert np.all(np.isnan(host(y))), k


def test_integer_labels_out_of_range(library: Library) -> None:
    x, at, there = given(library, [[0.1, 0.2, 0.9]] * 5, np.asarray([3, -4, 100, -1, 2]), np.asarray([2]))
    f = ran(losses.softmax_cross_entropy_with_integer_labels, library)
    found = host(f(x, at))
    assert np.all(np.isnan(found[:3]))
    assert np.allclose(found[3:], host(f(x[:1, :], there)))


def test_labels_may_be_narrow(library: Library) -> None:
    (x,) = given(library, np.linspace(-1, 1, 600).reshape(2, 300))
    for kind in ("uint8", "int8", "int16", "int32", "int64"):
        (at,) = given(library, np.asarray([3, 100], dtype=kind))
        found = host(ran(losses.softmax_cross_entropy_with_integer_labels, library)(x, at))
        rows = np.linspace(-1, 1, 600).reshape(2, 300)
        assert np.allclose(found, np.log(np.exp(rows).sum(axis=1)) - rows[[0, 1], [3, 100]], rtol=1e-5), kind
        assert np.all(np.isfinite(host(ran(losses.multiclass_hinge_loss, library)(x, at))))


def test_rows_without_entries_are_zero(library: Library) -> None:
    x, hot, at, none = given(library, [[1.0, 2.0]], [[1.0, 0.0]], [0], np.asarray([False]))
    for f, y in ((losses.softmax_cross_entropy, hot), (losses.softmax_cross_entropy_with_integer_labels, at)):
        assert np.array_equal(host(f(x, y, where=none)), [0.0])
        found = slope(of_first(f, y, where=none), library, x)
        assert found is None or np.array_equal(found, [[0.0, 0.0]])
    assert host(losses.ranking_softmax_loss(x, hot, where=none[:, None] & (x > 0))) == 0


def test_a_batch_of_one_kind_has_no_negatives(library: Library) -> None:
    x, at = given(library, [[0.0, 0.0], [1.0, 2.0], [0.5, -1.0]], [7, 7, 7])
    assert host(ran(losses.ntxent, library)(x, at)) == 0
    found = slope(lambda x: losses.ntxent(x, at), library, x)
    assert found is None or np.all(np.isfinite(found))


def test_equal_vectors_of_a_triplet(library: Library) -> None:
    (x,) = given(library, [[1.0, 2.0]])
    found = slope(lambda a: losses.triplet_margin_loss(a, x, x + 1), library, x)
    assert found is None or np.all(np.isfinite(found))


# -- what it is given ------------------------------------------------------------------------------------------------


def test_python_numbers_make_numpy_arrays() -> None:
    assert repr(arrayopt.squared_error(3.0, 1)) == "array(4.)"
    assert repr(arrayopt.huber_loss(3)) == "array(2.5)"
    assert repr(arrayopt.sigmoid_binary_cross_entropy(0.0, 1).round(3)) in ("array(0.693)", "np.float64(0.693)")
    for found in (losses.hinge_loss(0.5, 1), losses.log_cosh(1.0), losses.smooth_labels(np.eye(2), 0)):
        assert isinstance(found, np.ndarray)


def test_libraries_are_not_mixed(library: Library) -> None:
    if library.name == "numpy":
        return
    (x,) = given(library, [1.0, 2.0])
    y = np.asarray([1.0, 1.0], dtype=np.float32)
    if library.name == "jax":
        assert type(losses.squared_error(x, y)) is type(losses.squared_error(y, x)) is type(x)
        return
    with pytest.raises(TypeError, match="squared_error: all arrays must be of one library"):
        losses.squared_error(x, y)


NOTHING: Any = None
X, INTS, HOT = np.asarray([[0.5, 1.0]]), np.asarray([[1, 2]]), np.asarray([[1.0, 0.0]])

REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: losses.squared_error(INTS, X),
        TypeError,
        "squared_error: predictions must be floating point; got an arr",
    ),
    (
        lambda: losses.squared_error(X, X[0]),
        ValueError,
        "squared_error: predictions and targets must have the same sh",
    ),
    (lambda: losses.l2_loss(X, X[0]), ValueError, "l2_loss: predictions and targets must have the same shape"),
    (lambda: losses.huber_loss(X, delta="1"), TypeError, "huber_loss: delta must be an array or a number; got str"),
    (lambda: losses.cosine_distance(X, INTS), TypeError, "cosine_distance: targets must be floating point"),
    (lambda: losses.cosine_similarity(X, X, axis=2), ValueError, "cosine_similarity: axis 2 is out of bounds"),
    (lambda: losses.cosine_similarity(X, X, where=INTS), TypeError, "cosine_similarity: where must be an array of b"),
    (lambda: losses.softmax_cross_entropy(INTS, HOT), TypeError, "softmax_cross_entropy: logits must be floating"),
    (lambda: losses.softmax_cross_entropy(X, HOT, axis=-3), ValueError, "softmax_cross_entropy: axis -3 is out of"),
    (lambda: losses.softmax_cross_entropy_with_integer_labels(X, X[:, 0]), TypeError, "labels must be integers; got"),
    (
        lambda: losses.softmax_cross_entropy_with_integer_labels(X, INTS),
        ValueError,
        r"labels must have the shape \(1",
    ),
    (
        lambda: losses.softmax_cross_entropy_with_integer_labels(X, INTS[0], axis=NOTHING),
        ValueError,
        "axis must be an int",
    ),
    (lambda: losses.poly_loss_cross_entropy(X, INTS), TypeError, "poly_loss_cross_entropy: labels must be floating"),
    (
        lambda: losses.sigmoid_binary_cross_entropy(INTS, X),
        TypeError,
        "sigmoid_binary_cross_entropy: logits must be f",
    ),
    (lambda: losses.perceptron_loss(X, X[0]), ValueError, "perceptron_loss: predictor_outputs and targets must have"),
    (lambda: losses.multiclass_hinge_loss(X, X[:, 0]), TypeError, "multiclass_hinge_loss: labels must be integers"),
    (lambda: losses.kl_divergence(X, INTS), TypeError, "kl_divergence: targets must be floating point"),
    (lambda: losses.kl_divergence_with_log_targets(X, INTS), TypeError, "with_log_targets: log_targets must be floa"),
    (lambda: losses.ntxent(X, INTS[0]), ValueError, r"ntxent: embeddings must have shape \(batch, n\)"),
    (lambda: losses.triplet_margin_loss(X, X, INTS), TypeError, "triplet_margin_loss: negatives must be floating"),
    (
        lambda: losses.dice_loss(X, HOT, reduction="max"),
        ValueError,
        "dice_loss: reduction must be one of mean, sum, no",
    ),
    (
        lambda: losses.dice_loss(X, HOT[:, :1]),
        ValueError,
        "dice_loss: predictions and targets must have the same sha",
    ),
    (lambda: losses.dice_loss(X, HOT, class_weights=X), ValueError, "dice_loss: class_weights must have one axis"),
    (lambda: losses.dice_loss(X, HOT, apply_softmax=False), ValueError, "dice_loss: predictions must be valid prob"),
    (
        lambda: losses.binary_dice_loss(2 * X, HOT, apply_sigmoid=False),
        ValueError,
        "binary_dice_loss: predictions mu",
    ),
    (lambda: losses.smooth_labels(INTS, 0.1), TypeError, "smooth_labels: labels must be floating point"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_refusals(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_former_name_warns() -> None:
    with pytest.warns(DeprecationWarning, match="use generalized_kl_divergence") as caught:
        found = losses.convex_kl_divergence(np.log(HOT + 1), HOT)
    assert caught[0].filename == __file__
    assert np.array_equal(found, losses.generalized_kl_divergence(np.log(HOT + 1), HOT))


def test_lists_are_reduced_by_the_functions_of_the_library(library: Library) -> None:
    scores, relevance, where = given(
        library, [[1.0, 2.0]] * 3, [[1.0, 0.0]] * 3, np.asarray([[True, True]] * 2 + [[False] * 2])
    )
    module: Any = importlib.import_module(library.name if library.name != "jax" else "jax.numpy")
    each = host(losses.ranking_softmax_loss(scores, relevance, where=where, reduce_fn=None))
    assert each[2] == 0 and each[0] > 0
    for name, wanted in (("sum", each.sum()), ("mean", each[:2].mean())):
        found = losses.ranking_softmax_loss(scores, relevance, where=where, reduce_fn=getattr(module, name))
        assert np.allclose(host(found), wanted)
    assert np.allclose(host(losses.ranking_softmax_loss(scores, relevance, where=where)), each[:2].mean())


def test_lists_are_reduced_by_a_function_of_the_caller() -> None:
    seen: list[Any] = []

    def worst(losses: Any, where: Any = None) -> Any:
        seen.append(where)
        return losses.max()

    for where in (None, np.asarray([[True, False]])):
        losses.ranking_softmax_loss(X, HOT, where=where, reduce_fn=worst)
    assert seen[0] is None and seen[1].tolist() == [True]


def test_chances_are_checked_where_they_can_be(library: Library) -> None:
    x, hot = given(library, [[[2.0, 1.0]]], [[[1.0, 0.0]]], dtype=widest(library))
    if not library.backend.is_known(x):
        losses.dice_loss(x, hot, apply_softmax=False)
        return
    with pytest.raises(ValueError, match="valid probability distributions"):
        losses.dice_loss(x, hot, apply_softmax=False)
    wrap = library.modes.get("jit") or library.modes.get("compile")
    if wrap is not None:
        wrap(partial(losses.dice_loss, apply_softmax=False))(x, hot)


def test_one_class_of_chances(library: Library) -> None:
    x, hot = given(library, [[0.25, 1.0, 0.0]], [[0.0, 1.0, 0.0]])
    assert np.allclose(host(losses.binary_dice_loss(x, hot, apply_sigmoid=False)), 1 - 2 / 2.125)


@pytest.mark.skipif("jax" not in libraries(), reason="needs jax")
def test_hyper_parameters_may_be_traced() -> None:
    jax = importlib.import_module("jax")
    x = jax.numpy.asarray([0.5, 3.0], dtype="bfloat16")
    for delta in (1, 1.0):
        found = jax.jit(losses.huber_loss)(x, delta=delta)
        assert found.dtype == x.dtype and found.tolist() == [0.125, 2.5]

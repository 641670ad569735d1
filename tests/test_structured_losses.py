"""Losses of sequences and of sparse chances, and norms safe at 0, where the laws of all functions do not look."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from arrayopt_conformance.functions.oracles import structured
from arrayopt_conformance.functions.runs import ran
from arrayopt_conformance.libraries import Library, double, has, libraries

import arrayopt
from arrayopt import dtypes
from arrayopt.dispatch import namespace

losses: Any = arrayopt.losses  # whose arrays are of every library
ctc_loss, ctc_loss_with_forward_probs = losses.ctc_loss, losses.ctc_loss_with_forward_probs
sparsemax_loss, multiclass_sparsemax_loss = losses.sparsemax_loss, losses.multiclass_sparsemax_loss
safe_softmax_cross_entropy, make_fenchel_young_loss = (
    losses.safe_softmax_cross_entropy,
    losses.make_fenchel_young_loss,
)
safe_norm: Any = arrayopt.safe_norm
safe_rms: Any = arrayopt.safe_root_mean_squares

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"),  # Torch's forward mode
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),
]
every = pytest.mark.parametrize("library", libraries().values(), ids=str)
differentiating = pytest.mark.parametrize(
    "library", [x for name, x in libraries().items() if name in ("jax", "torch")], ids=str
)

X = np.random.default_rng(0).standard_normal((2, 4, 3))
FRAMES = np.zeros((2, 4))
LABELS = np.asarray([[1, 1], [2, 1]], dtype=np.int32)
NONE = np.zeros((2, 2))


def gradients(library: Library, f: Callable[..., Any], *xs: Any, order: int = 1) -> Any:
    """The derivative of a number by the first argument; of second order its Jacobian."""
    if library.name == "jax":
        return library.numpy(derived(f, order)(*xs))
    import torch

    func: Any = torch.func
    return library.numpy((func.grad if order == 1 else func.hessian)(f)(*xs))


@cache
def derived(f: Callable[..., Any], order: int) -> Callable[..., Any]:
    """The derivative in JAX, compiled once for each shape."""
    import jax

    return jax.jit((jax.grad if order == 1 else jax.hessian)(f))


def total_ctc(*xs: Any) -> Any:
    return ctc_loss(*xs).sum()


def total_sparsemax(*xs: Any) -> Any:
    return multiclass_sparsemax_loss(*xs).sum()


def on(library: Library, *xs: Any, dtype: str = "float32") -> list[Any]:
    return [library.asarray(x, dtype if np.asarray(x).dtype.kind == "f" else None) for x in xs]


# -- CTC -----------------------------------------------------------------------------------------------------------


def test_forward_chances_are_sums_over_paths() -> None:
    labels = np.asarray([[1, 1, 2], [2, 1, 2]], dtype=np.int32)
    loss, blank, label = ctc_loss_with_forward_probs(X, FRAMES, labels, np.zeros((2, 3)))
    for b, t, n in itertools.product(range(2), range(4), range(4)):
        spelt = tuple(labels[b, :n].tolist())
        found = [(p, last) for path, p, last in structured.paths(X[b, : t + 1], 0) if path == spelt]
        in_blank = sum([p for p, last in found if last == 0 or t == 3])
        in_label = sum([p for p, last in found if last != 0])
        np.testing.assert_allclose(np.exp(blank[t, b, n]), in_blank, rtol=1e-12)
        if n:
            np.testing.assert_allclose(np.exp(label[t, b, n - 1]), in_label, rtol=1e-12)
    assert loss.shape == (2,)


@every
def test_chances_of_all_labels_sum_to_one(library: Library) -> None:
    x = np.repeat(X[:1], 13, axis=0)[:, :3]
    every_label = [s for n in range(4) for s in itertools.product((1, 2), repeat=n)][:13]
    labels = np.asarray([[*s, *[0] * (3 - len(s))] for s in every_label], dtype=np.int32)
    padded = np.asarray([[0.0] * len(s) + [1.0] * (3 - len(s)) for s in every_label])
    loss = library.numpy(ran(ctc_loss, library)(*on(library, x, np.zeros((13, 3)), labels, padded)))
    more = list(itertools.product((1, 2), repeat=3))[6:]
    rest = sum([math.exp(-structured.one_loss(x[0], s, 0)) for s in more if s not in every_label and s[0] != s[1]])
    reached = [len(s) + sum([a == b for a, b in itertools.pairwise(s)]) <= 3 for s in every_label]
    assert np.exp(-loss)[reached].sum() + rest == pytest.approx(1, rel=1e-5)


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ctc_at_the_extremes(library: Library, dtype: str) -> None:
    """The best path alone counts there; its chance may be far below what stands for 0."""
    with double(library):
        if dtype not in (*library.dtypes, "float64"):
            return
        run = ran(ctc_loss, library)
        blanks, ones = [1e4, -1e4, -1e4], [-1e4, 1e4, -1e4]
        for sure, labels, wanted in (
            (blanks, [1, 2], 4e4 - math.log(math.comb(40, 2))),  # the two labels cost 2e4 each
            (ones, [1, 2], 2e4),
            (blanks, [1, 2] * 5, 2e5 - math.log(math.comb(40, 10))),  # Optax: 1e5, of a path that begins behind them
            (blanks, [2] * 17, 17 * 2e4 - math.log(math.comb(40 - 16, 17))),  # a repeat wants a blank between
        ):
            padding = [0] * (17 - len(labels))  # so that one shape is compiled
            padded = np.asarray([[0.0] * len(labels) + [1.0] * len(padding)])
            spelt = np.asarray([labels + padding], dtype=np.int32)
            given = on(library, np.asarray([[sure] * 40]), np.zeros((1, 40)), spelt, padded, dtype=dtype)
            assert float(library.numpy(run(*given))[0]) == pytest.approx(wanted, rel=1e-6)


@differentiating
def test_derivatives_of_ctc_are_finite(library: Library) -> None:
    wild = np.where(X > 0, 1e4, -1e4)
    short = FRAMES + (np.arange(4) >= 2)
    odd = np.where(np.arange(3) == 2, np.where(X > 1, -np.inf, X), X)
    for x, frames in ((X, FRAMES), (wild, FRAMES), (X, short), (1e4 * X, FRAMES), (odd, FRAMES)):
        found = gradients(library, total_ctc, *on(library, x, frames, LABELS, NONE))
        assert np.all(np.isfinite(found)), x
        np.testing.assert_allclose(found.sum(axis=-1), 0, atol=1e-3)  # of a softmax


@differentiating
def test_second_derivatives_of_ctc(library: Library) -> None:
    with double(library):
        given = on(library, X[:1, :3], FRAMES[:1, :3], LABELS[1:], NONE[:1], dtype="float64")
        found = gradients(library, total_ctc, *given, order=2)
        step = 1e-5
        for at in ((0, 0, 0), (0, 2, 1)):
            move = np.zeros((1, 3, 3))
            move[at] = step
            ends = [gradients(library, total_ctc, library.asarray(X[:1, :3] + s * move), *given[1:]) for s in (1, -1)]
            np.testing.assert_allclose(found[at], (ends[0] - ends[1]) / (2 * step), atol=1e-8)


@every
def test_frames_that_are_none_do_not_show(library: Library) -> None:
    frames = np.asarray([[0, 0, 1, 0], [0, 0, 0, 1.0]])
    spoilt = np.where(frames[..., None] == 1, np.nan, X)
    given = on(library, spoilt, frames, LABELS, np.asarray([[0, 1.0], [0, 0]]))
    found = library.numpy(ran(ctc_loss, library)(*given))
    wanted = structured.ctc_loss(X, frames, LABELS, np.asarray([[0, 1.0], [0, 0]]))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    if library.name in ("jax", "torch"):
        slope = gradients(library, total_ctc, *given)
        assert np.all(np.isfinite(slope)) and np.all(slope[frames == 1] == 0)


@every
def test_bools_and_odd_labels_as_padding(library: Library) -> None:
    padded = np.asarray([[False, True], [False, True]])
    labels = np.asarray([[1, -1], [2, 99]], dtype=np.int32)
    found = library.numpy(ran(ctc_loss, library)(*on(library, X, FRAMES == 1, labels, padded)))
    wanted = structured.ctc_loss(X, FRAMES, np.asarray([[1, 0], [2, 0]]), padded.astype("f8"))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    bad = library.numpy(ran(ctc_loss, library)(*on(library, X, FRAMES, labels, NONE)))
    assert np.all(np.isnan(bad))


@every
def test_ctc_of_nothing(library: Library) -> None:
    def loss(b: int, t: int, n: int) -> Any:
        return ran(ctc_loss_with_forward_probs, library)(
            *on(library, np.zeros((b, t, 3)), np.zeros((b, t)), np.zeros((b, n), dtype=np.int32), np.zeros((b, n)))
        )

    assert [tuple(x.shape) for x in loss(0, 4, 2)] == [(0,), (4, 0, 3), (4, 0, 2)]
    found, blank, label = library.numpy(loss(2, 4, 0))
    np.testing.assert_allclose(found, 4 * math.log(3), rtol=1e-6)
    assert blank.shape == (4, 2, 1) and label.shape == (4, 2, 0)
    found, blank, label = library.numpy(loss(2, 0, 0))
    assert found.tolist() == [0, 0] and blank.shape == (0, 2, 1)
    np.testing.assert_allclose(library.numpy(loss(2, 0, 1))[0], 1e5, rtol=1e-4)


CTC_WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: ctc_loss(X[0], FRAMES, LABELS, NONE), ValueError, r"logits must be of shape \(B, T, K\)"),
    (lambda: ctc_loss(X, FRAMES, LABELS[:1], NONE), ValueError, r"got \(2, 4, 3\) and \(1, 2\)"),
    (lambda: ctc_loss(X, FRAMES[:, 1:], LABELS, NONE), ValueError, r"logit_paddings must be of shape \(2, 4\)"),
    (lambda: ctc_loss(X, FRAMES, LABELS, NONE[:, 1:]), ValueError, r"label_paddings must be of shape \(2, 2\)"),
    (lambda: ctc_loss(X, FRAMES, NONE, NONE), TypeError, "labels must be integers"),
    (lambda: ctc_loss(LABELS, FRAMES, LABELS, NONE), TypeError, "logits must be floating point"),
    (lambda: ctc_loss(X, FRAMES, LABELS, NONE, blank_id=3), ValueError, "blank_id must be one of the 3 classes"),
    (lambda: ctc_loss(X, FRAMES, LABELS, NONE, log_epsilon=-math.inf), ValueError, "log_epsilon must be finite"),
]


@pytest.mark.parametrize(("call", "kind", "message"), CTC_WRONG)
def test_errors_of_ctc(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


# -- sparsemax -----------------------------------------------------------------------------------------------------


@every
def test_sparsemax_at_the_extremes(library: Library) -> None:
    x = np.asarray([-1e30, -1e4, -1.0, 0.0, 1.0, 1e4, 1e30, np.inf, -np.inf, np.nan])
    found = library.numpy(ran(sparsemax_loss, library)(*on(library, x, np.zeros(10, dtype=bool))))
    np.testing.assert_allclose(found, [0, 0, 0, 0.25, 1, 1e4, 1e30, np.inf, 0, np.nan], rtol=1e-6)
    rows = np.asarray([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [0, 0, 0], [1e4, 1e4 + 0.5, -1e4]])
    given = on(library, rows, np.asarray([1, 0, 2, 0]))
    found = library.numpy(ran(multiclass_sparsemax_loss, library)(*given))
    np.testing.assert_allclose(found, structured.multiclass_sparsemax_loss(rows, np.asarray([1, 0, 2, 0])), rtol=1e-6)


@differentiating
def test_the_derivative_of_sparsemax_is_the_projection_less_the_label(library: Library) -> None:
    rows = np.asarray([[0.2, 0.1, -3.0], [5.0, 0.0, 0.0], [1e4, -1e4, 0.0], [0.5, 0.5, 0.5]])
    at = np.asarray([0, 1, 1, 2])
    found = gradients(library, total_sparsemax, *on(library, rows, at))
    np.testing.assert_allclose(found, np.stack([structured.simplex(s) for s in rows]) - np.eye(3)[at], atol=1e-6)
    twice = gradients(library, total_sparsemax, *on(library, rows[:1], at[:1]), order=2)
    np.testing.assert_allclose(twice[0, :, 0], [[0.5, -0.5, 0.0], [-0.5, 0.5, 0.0], [0.0, 0.0, 0.0]], atol=1e-6)


def test_errors_of_sparsemax() -> None:
    with pytest.raises(ValueError, match="labels of the same without the last axis"):
        multiclass_sparsemax_loss(X, LABELS)
    with pytest.raises(TypeError, match="labels must be integers"):
        multiclass_sparsemax_loss(X, FRAMES)
    assert math.isnan(float(multiclass_sparsemax_loss(X[0, :1], np.asarray([3]))[0]))


# -- safe softmax --------------------------------------------------------------------------------------------------


@every
def test_safe_softmax_takes_0_log_0_for_0(library: Library) -> None:
    x = np.asarray([[-np.inf, 0, 0], [-np.inf, 0, 0], [-np.inf, 0, -np.inf], [1e4, -1e4, 0]])
    y = np.asarray([[0, 0.5, 0.5], [0.4, 0.3, 0.3], [0, 1, 0], [0, 1, 0]])
    found = library.numpy(safe_softmax_cross_entropy(*on(library, x, y)))
    np.testing.assert_allclose(found, [math.log(2), np.inf, 0, 2e4], rtol=1e-6)
    if library.name in ("jax", "torch"):
        given = on(library, x[[0, 2, 3]], y[[0, 2, 3]])
        slope = gradients(library, lambda *xs: safe_softmax_cross_entropy(*xs).sum(), *given)
        np.testing.assert_allclose(slope, [[0, 0, 0], [0, 0, 0], [1, -1, 0]], atol=1e-6)


@pytest.mark.skipif(not (has("jax") and has("optax")), reason="needs jax and optax")
@differentiating
def test_second_derivatives_and_those_by_labels_are_those_of_optax(library: Library) -> None:
    import jax

    optax: Any = importlib.import_module("optax")

    with double(libraries()["jax"]):
        x, y = X[0, :2], np.eye(3)[[0, 2]]
        theirs = jax.jit(jax.hessian(lambda *xs: optax.safe_softmax_cross_entropy(*xs).sum()))(x, y)
        given = on(library, x, y, dtype="float64")
        mine = gradients(library, lambda *xs: safe_softmax_cross_entropy(*xs).sum(), *given, order=2)
        np.testing.assert_allclose(mine, theirs, atol=1e-12)
        theirs = jax.jit(jax.grad(lambda y, x: optax.safe_softmax_cross_entropy(x, y).sum()))(y, x)
        mine = gradients(library, lambda y, x: safe_softmax_cross_entropy(x, y).sum(), *given[::-1])
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


# -- Fenchel-Young -------------------------------------------------------------------------------------------------


def log_sum(row: Any, base: float = 1.0) -> Any:
    xp = namespace(row)
    return base * xp.log(xp.sum(xp.exp(row / base)))


@every
@pytest.mark.parametrize("mode", ["eager", "jit", "compile"])
def test_fenchel_young(library: Library, mode: str) -> None:
    if mode not in library.modes:
        pytest.skip("has no such mode")
    loss = library.modes[mode](make_fenchel_young_loss(log_sum))
    wanted = np.log(np.exp(X).sum(axis=-1)) - X[..., 1]
    np.testing.assert_allclose(library.numpy(loss(*on(library, X, np.eye(3)[1]))), wanted, rtol=1e-5)
    one = library.numpy(loss(*on(library, X[0, 0], np.eye(3)[1])))
    np.testing.assert_allclose(one, wanted[0, 0], rtol=1e-5)


@every
def test_fenchel_young_takes_more_arguments_and_no_rows(library: Library) -> None:
    loss = make_fenchel_young_loss(log_sum)
    found = library.numpy(loss(*on(library, X, np.zeros(3)), base=2.0))
    np.testing.assert_allclose(found, 2 * np.log(np.exp(X / 2).sum(axis=-1)), rtol=1e-5)
    assert tuple(loss(*on(library, np.zeros((0, 2, 3)), np.zeros(3))).shape) == (0, 2)
    for dtype in [kind for kind in ("float16", "bfloat16") if kind in library.dtypes]:
        narrow = loss(*on(library, X, np.eye(3)[1], dtype=dtype))
        assert dtypes.name(narrow.dtype) == dtype
    with pytest.raises(ValueError, match="max_fun must answer with a 0-d array"):
        make_fenchel_young_loss(lambda row: row)(*on(library, X, X))
    with pytest.raises(ValueError, match=r"with the same n; got \(2, 4, 3\) and \(2,\)"):
        loss(*on(library, X, X[0, 0, :2]))


@differentiating
def test_the_derivative_of_fenchel_young(library: Library) -> None:
    with double(library):
        loss = make_fenchel_young_loss(log_sum)
        found = gradients(library, lambda *xs: loss(*xs).sum(), *on(library, X, np.eye(3)[1], dtype="float64"))
        p = np.exp(X) / np.exp(X).sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(found, p - np.eye(3)[1], atol=1e-12)


# -- norms that are safe at 0 --------------------------------------------------------------------------------------

NORMS: list[tuple[Any, Any]] = [
    *[(p, 1) for p in (None, 1, 2, -2, 0, 1.5, -1.5, math.inf, -math.inf)],
    *[(p, None) for p in (None, "fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)],
]


@differentiating
@pytest.mark.parametrize("least", [0.0, 3.0])
def test_the_derivative_of_safe_norms_at_0_is_0(library: Library, least: float) -> None:
    grad: Any = importlib.import_module("jax" if library.name == "jax" else "torch.func").grad

    def each(x: Any) -> list[Any]:
        norms = [grad(lambda x, p=p, axis=axis: safe_norm(x, least, p, axis).sum())(x) for p, axis in NORMS]
        return [*norms, grad(lambda x: safe_rms(x, least))(x)]

    found = library.numpy(ran(each, library)(library.asarray(np.zeros((3, 4)), "float32")))
    for what, slope in zip([*NORMS, "root mean squares"], found, strict=True):
        np.testing.assert_array_equal(slope, np.zeros((3, 4)), err_msg=f"ord, axis: {what}")


@every
def test_safe_norms_of_nothing_and_of_what_is_not_finite(library: Library) -> None:
    (empty, odd) = on(library, np.zeros((2, 0)), np.asarray([[np.nan, 1.0], [np.inf, 1.0]]))
    assert library.numpy(safe_norm(empty, 0.5, axis=1)).tolist() == [0.5, 0.5]
    assert float(library.numpy(safe_rms(empty, 0.5))) == 0.5
    np.testing.assert_array_equal(library.numpy(safe_norm(odd, 0.5, axis=1)), [np.nan, np.inf])


def test_errors_of_safe_norm() -> None:
    wrong: list[tuple[Callable[[], Any], str]] = [
        (lambda: safe_norm(X, 0.1, ord=1), "axis must be one axis or two of the 3 there are; got None"),
        (lambda: safe_norm(X, 0.1, axis=3), "axis must be one axis or two"),
        (lambda: safe_norm(X[0], 0.1, ord="fro", axis=0), "ord must be a number for vectors"),
        (lambda: safe_norm(X[0], 0.1, ord=3), "ord must be 'fro'"),
    ]
    for call, message in wrong:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="x must be floating point"):
        safe_norm(LABELS, 0.1)
    assert float(safe_norm(3, 0.1)) == 3

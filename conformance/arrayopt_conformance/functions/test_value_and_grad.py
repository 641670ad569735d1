"""``losses.value_and_grad``: written-down derivatives on every library, the library's own for other losses."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, cast

import numpy as np
import pytest

from arrayopt import dtypes, losses
from arrayopt.losses.closed import SLOPES
from arrayopt_conformance.functions import Case, every
from arrayopt_conformance.functions.laws import DOUBLE, form, widest
from arrayopt_conformance.functions.runs import ran, split
from arrayopt_conformance.harness.compare import assert_near, assert_same, host
from arrayopt_conformance.libraries import Library, Numpy, double, libraries

CLOSED = [name for name, cases in every().items() if cases[0].function in SLOPES]
SEVEN = (
    "squared_error huber_loss softmax_cross_entropy softmax_cross_entropy_with_integer_labels "
    "sigmoid_binary_cross_entropy hinge_loss cosine_distance"
)


def slope(case: Case, step: float = 1e-6) -> Numpy:
    """The derivative of the sum of all losses, by differences of the oracle."""
    x = case.args[0]
    found: Numpy = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[at] = step
        ahead, behind = [case.given((y, *case.args[1:])).wanted().sum() for y in (x + move, x - move)]
        found[at] = (ahead - behind) / (2 * step)
    return found


def called(case: Case, library: Library, function: Callable[..., Any]) -> Any:
    """What a function answers to the arguments of a case, on JAX compiled."""
    arrays, f = split(case.but(instead=function))
    return ran(f, library)(arrays)


@cache
def compared(case: Case, name: str) -> dict[str, Any]:
    """What each way to the value and the derivative finds, in double precision."""
    library, plain = libraries()[name], case.function

    def every_way(x: Any, *rest: Any, **named: Any) -> dict[str, Any]:
        found = {"value": plain(x, *rest, **named), "closed": losses.value_and_grad(plain)(x, *rest, **named)}
        if name in ("jax", "torch"):
            found["own"] = library.backend.value_and_grad(lambda x: plain(x, *rest, **named), x)
        return found

    with double(library):
        return dict(library.numpy(called(case.on(library), library, every_way)))


def test_the_seven_are_there() -> None:
    assert set(SEVEN.split()) <= {name.removeprefix("losses.") for name in CLOSED}
    assert len(CLOSED) == len(SLOPES)


@pytest.mark.parametrize("name", CLOSED)
def test_the_derivative_is_that_of_the_oracle(name: str, library: Library) -> None:
    for case in every()[name]:
        found = compared(case, library.name)
        assert_same(found["closed"][0], found["value"], f"{case}: the value ")
        assert_near(found["closed"][1], slope(case), 1e-7, f"{case}: the derivative ")


@pytest.mark.parametrize("name", CLOSED)
def test_it_is_that_of_the_library_too(name: str, library: Library) -> None:
    for case in every()[name] if library.name in ("jax", "torch") else []:
        found = compared(case, library.name)
        assert_near(found["closed"][1], found["own"][1], DOUBLE, f"{case}: the derivative ")
        assert_near(found["closed"][0], found["own"][0], DOUBLE, f"{case}: the value ")


@pytest.mark.parametrize("name", CLOSED)
def test_it_has_the_shape_and_dtype_of_the_predictions(name: str, library: Library) -> None:
    for dtype in [dtype for dtype in library.dtypes if dtype in dtypes.REALS]:
        there = every()[name][0].on(library, dtype)
        for reduce in (None, "mean", "sum"):
            value, gradient = form(there.but(instead=losses.value_and_grad(there.function, reduce)), library)
            assert dtypes.name(gradient.dtype) == dtypes.name(value.dtype) == dtype
            assert gradient.shape == there.args[0].shape
            assert (value.shape == ()) or reduce is None


@pytest.mark.parametrize("name", CLOSED)
def test_a_mean_is_a_sum_divided(name: str, library: Library) -> None:
    case = every()[name][0]
    ways = {str(reduce): losses.value_and_grad(case.function, reduce) for reduce in (None, "sum", "mean")}

    def each(*args: Any, **named: Any) -> dict[str, Any]:
        return {reduce: f(*args, **named) for reduce, f in ways.items()}

    with double(library):
        found = called(case.on(library), library, each)
        value, gradient = map(host, found["None"])
        for reduce, count in (("sum", 1), ("mean", value.size)):
            total, slope = map(host, found[reduce])
            assert_near(total, value.sum() / count, DOUBLE, f"the {reduce} ")
            assert_near(slope, gradient / count, DOUBLE, f"the derivative of the {reduce} ")


@pytest.mark.parametrize("name", CLOSED)
def test_no_row_is_no_trouble(name: str, library: Library) -> None:
    case = every()[name][0].mapped(lambda x: x[:0]).on(library, widest(library))
    value, gradient = called(case, library, losses.value_and_grad(case.function, "mean"))
    assert host(value) == 0
    assert gradient.shape == case.args[0].shape


def test_any_other_loss_is_left_to_the_library(library: Library) -> None:
    x = library.asarray([0.5, -2.0], widest(library))
    f = losses.value_and_grad(losses.log_cosh, reduce="sum")
    if library.name not in ("jax", "torch"):
        with pytest.raises(TypeError, match=r"value_and_grad: \w+ differentiates nothing.*huber_loss.*got log_cosh"):
            f(x)
        return
    value, gradient = map(host, f(x))
    assert_near(gradient, np.tanh([0.5, -2.0]).astype(gradient.dtype), 1e-6, "the derivative ")
    assert_near(value, np.log(np.cosh([0.5, -2.0])).sum().astype(value.dtype), 1e-6, "the value ")


def test_arguments_may_be_bound_before(library: Library) -> None:
    x = library.asarray([0.5, -2.0], widest(library))
    bound = losses.value_and_grad(partial(losses.huber_loss, delta=0.25))
    assert_same(bound(x), losses.value_and_grad(losses.huber_loss)(x, delta=0.25), "bound ")


def test_halfway_on_the_margin_of_a_hinge(library: Library) -> None:
    """As JAX and Torch have it."""
    score, target = (
        library.asarray([1.0, -0.5, 3.0], widest(library)),
        library.asarray([1.0, -2.0, 1.0], widest(library)),
    )
    _, gradient = losses.value_and_grad(losses.hinge_loss)(score, target)
    assert host(gradient).tolist() == [-0.5, 1.0, 0.0]
    if library.name in ("jax", "torch"):
        own = library.backend.value_and_grad(lambda x: losses.hinge_loss(x, target), score)[1]
        assert host(own).tolist() == [-0.5, 1.0, 0.0]


def test_python_numbers_make_numpy_arrays() -> None:
    value, gradient = losses.value_and_grad(losses.l2_loss)(3.0, 1)
    assert repr((value, gradient)) == "(array(2.), array(2.))"


def test_what_it_is_made_of_is_looked_at() -> None:
    with pytest.raises(TypeError, match="value_and_grad: loss must be a function; got str"):
        losses.value_and_grad(cast(Any, "l2_loss"))
    with pytest.raises(ValueError, match="value_and_grad: reduce must be 'mean', 'sum' or None; got 'max'"):
        losses.value_and_grad(losses.l2_loss, reduce="max")


def test_it_runs_compiled(library: Library) -> None:
    if len(library.modes) == 1:
        return
    mode = next(wrap for name, wrap in library.modes.items() if name != "eager")
    case = every()["losses.softmax_cross_entropy"][0].on(library, "float32")
    found = mode(losses.value_and_grad(losses.softmax_cross_entropy, "mean"))(*case.args)
    eager = losses.value_and_grad(losses.softmax_cross_entropy, "mean")(*case.args)
    assert_near(library.numpy(found), library.numpy(eager), 1e-6, "compiled ")


def test_torch_outside_of_grad_mode() -> None:
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        value, gradient = losses.value_and_grad(losses.log_cosh)(torch.zeros(2))
    assert not value.any() and not gradient.any() and not gradient.requires_grad
